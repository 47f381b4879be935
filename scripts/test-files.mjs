// SPDX-License-Identifier: Apache-2.0
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** All test files below the given paths, sorted; ends the program when there is none. */
export function testFiles(paths) {
  const files = paths.flatMap(filesBelow).sort();
  if (files.length > 0) return files;
  console.error(`no test file below ${paths.join(" ")}`);
  process.exit(1);
}

function filesBelow(path) {
  if (statSync(path).isFile()) return [path];
  return readdirSync(path, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(path, name));
}
