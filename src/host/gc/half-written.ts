// SPDX-License-Identifier: Apache-2.0
import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { isHalfWritten } from "../../linux/atomic-file.ts";
import { directoryNames } from "../../linux/directory-names.ts";
import { runRoot } from "../../linux/paths.ts";
import { type GarbageOptions, isYoung, removeEach } from "./options.ts";

/** Below the run root: what belongs to no sandbox, and so goes with none. */
const DIRECTORIES = ["", "jails"];

/** Removes files of caches that nobody writes any more, as their writer was killed. */
export async function collectHalfWritten(options: GarbageOptions): Promise<string[]> {
  const files = DIRECTORIES.flatMap((directory) => {
    const path = join(runRoot(), directory);
    return directoryNames(path)
      .filter(isHalfWritten)
      .map((name) => join(path, name));
  }).filter((path) => !isYoung(path, options));
  return await removeEach(files, {
    describe: (path) => `half-written file ${path}`,
    remove: async (path) => {
      unlinkSync(path);
      return true;
    },
    options,
  });
}
