// SPDX-License-Identifier: Apache-2.0
// The generator knows nothing of licences: puts the SPDX line at the top of what it made.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SPDX = "// SPDX-License-Identifier: Apache-2.0\n";
const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const directory of ["src/generated", "test/generated"]) {
  for (const name of readdirSync(join(root, directory), { recursive: true })) {
    if (!name.endsWith(".ts")) continue;
    const file = join(root, directory, name);
    const text = readFileSync(file, "utf8");
    const fixed = withExtensions(text.startsWith(SPDX) ? text : SPDX + text);
    if (fixed !== text) writeFileSync(file, fixed);
  }
}

/** Node runs the sources as they are, so relative imports name their file in full. */
function withExtensions(text) {
  return text.replace(/( from "\.{1,2}\/[^"]+?)(?:\.js|\.ts)?";/g, '$1.ts";');
}
