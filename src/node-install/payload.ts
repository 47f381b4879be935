// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

/** What is to be installed: a directory with `bin/node`, `lib/mukon`, `guest`, and two files. */
export interface Payload {
  readonly directory: string;
  /** Differs whenever a program does. */
  readonly id: string;
  /** Name of the guest's directory below `guest`. */
  readonly guest: string;
}

const PROGRAMS: readonly string[] = [
  ...["mukon.cjs", "shim.cjs", "shim-daemon.cjs", "keeper.cjs", "passt-filter.cjs", "koffi.node"],
];

/** @throws INSTALL_PAYLOAD_INVALID when something is missing */
export function openPayload(directory: string): Payload {
  const needed = [
    "bin/node",
    "configuration.toml",
    "mukon-gc.service",
    "guest/current",
    ...PROGRAMS.map((name) => `lib/mukon/${name}`),
  ];
  const missing = needed.filter((name) => !existsSync(join(directory, name)));
  if (missing.length > 0) {
    throw new MukonError("INSTALL_PAYLOAD_INVALID", `${directory} lacks ${missing.join(", ")}.`, {
      hint: "Make the image again: deploy/kubernetes/Containerfile",
    });
  }
  const hash = createHash("sha256");
  const library = join(directory, "lib", "mukon");
  for (const name of [
    "../../bin/node",
    "../../configuration.toml",
    ...readdirSync(library).sort(),
  ]) {
    hash.update(`${name}\0`).update(readFileSync(join(library, name)));
  }
  return {
    directory,
    id: hash.digest("hex").slice(0, 16),
    guest: basename(readlinkSync(join(directory, "guest", "current"))),
  };
}
