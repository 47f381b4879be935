// SPDX-License-Identifier: Apache-2.0
import { randomBytes, randomInt } from "node:crypto";
import { MukonError } from "../../errors/mukon-error.ts";

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

const ADJECTIVES =
  "bold brisk calm clear deft fleet fresh keen light lucid mild neat noble plain quick quiet rapid sharp sleek smooth snug spare steady still swift tidy trim vivid warm wise young zesty".split(
    " ",
  );
const NOUNS =
  "alder aspen birch cedar cherry clover cypress elm fern fir ginkgo hazel heath holly iris ivy juniper larch laurel lotus maple moss oak olive pine plum reed rowan sage sorrel thyme willow".split(
    " ",
  );

/** A new container id: 12 hexadecimal digits, as Docker shows them. */
export function newContainerId(): string {
  return randomBytes(6).toString("hex");
}

/** A name for a container whose user gave none. */
export function newContainerName(): string {
  return `${pick(ADJECTIVES)}_${pick(NOUNS)}`;
}

/** Returns `name`, or throws `USAGE`: names become parts of paths and host names. */
export function checkContainerName(name: string): string {
  if (NAME.test(name)) return name;
  throw new MukonError("USAGE", `invalid container name ${JSON.stringify(name)}`, {
    hint: "use up to 63 letters, digits, '_', '.', '-', beginning with a letter or digit",
  });
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? "container";
}
