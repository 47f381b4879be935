// SPDX-License-Identifier: Apache-2.0
import { ERROR_AREAS } from "./codes.ts";

/** docs/errors.md: every code with its meaning, by area. */
export function renderErrorsPage(): string {
  const lines = [
    "# Error codes",
    "",
    "Every failure carries one of these codes; they stay the same from release to release. Made from",
    "`src/errors/codes` by `npm run docs`.",
  ];
  for (const [area, codes] of Object.entries(ERROR_AREAS)) {
    lines.push("", `## ${area}`, "", "| code | meaning |", "|---|---|");
    for (const [code, meaning] of Object.entries(codes).sort()) {
      lines.push(`| \`${code}\` | ${meaning.replaceAll("|", "\\|")} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}
