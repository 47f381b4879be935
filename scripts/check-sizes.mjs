// SPDX-License-Identifier: Apache-2.0
// House rules that no linter has: length of files, SPDX line, and nothing left half done.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const MAX_LINES = 400;
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(ts|mjs|sh)$/.test(file) && !/^(src|test)\/generated\//.test(file))
  .filter((file) => existsSync(file));

const problems = [];
const lengths = [];
for (const file of files) {
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n").length - 1;
  lengths.push(lines);
  if (lines > MAX_LINES) problems.push(`${file}: ${lines} lines, at most ${MAX_LINES}`);
  if (
    !text
      .split("\n")
      .slice(0, 2)
      .some((line) => line.includes("SPDX-License-Identifier: Apache-2.0"))
  ) {
    problems.push(`${file}: no SPDX line at its top`);
  }
}
if (problems.length > 0) {
  console.error(problems.join("\n"));
  process.exit(1);
}
lengths.sort((a, b) => a - b);
console.log(
  `sizes: ${files.length} files, median ${lengths[lengths.length >> 1]} lines, longest ${lengths.at(-1)}`,
);
