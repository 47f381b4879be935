// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GUEST_RELEASE } from "../../guest/image/apt.ts";
import { hashOfData } from "../../guest/image/hashes.ts";

/** The files whose text decides what an image is. */
const RECIPE = ["packages.ts", "units.ts", "system-files.ts", "initrd.ts", "make-image.ts"];
const KEY_LENGTH = 16;

/** Names the image that this checkout wants; a new recipe gets a new one. */
export function imageKey(): string {
  const texts = RECIPE.map((name) => readFileSync(join(import.meta.dirname, name), "utf8"));
  return hashOfData([GUEST_RELEASE, texts]).slice(0, KEY_LENGTH);
}
