// SPDX-License-Identifier: Apache-2.0
import { ATTEMPTS } from "./attacker.ts";
import type { Role } from "./types.ts";

const BEGIN = "<!-- begin of what test/attack writes -->\n";
const END = "<!-- end of what test/attack writes -->\n";

/** What an attacker reported: the kernel's answer to each attempt. */
export function readReport(text: string): string[] {
  const body = /REPORT\s+(.*?)\s+END/s.exec(text)?.[1] ?? "";
  const answers = new Map(
    [...body.matchAll(/(\d+)=(\S+)/g)].map(([, index, answer]) => [Number(index), answer ?? ""]),
  );
  return ATTEMPTS.map((_, index) => answers.get(index) ?? "NOT REPORTED");
}

/** The table of docs/security.md. It has no answers of the kernel: they differ from host to host. */
export function attackTable(): string {
  const rows = ATTEMPTS.map(({ name, wall, notFor, onlyFor, forPasst }) => {
    const except = notFor === undefined ? "" : ` (${notFor}: it may, with ids of the pod's alone)`;
    const other = forPasst === undefined ? "" : `; passt: ${forPasst.wall}`;
    const who = onlyFor === undefined ? "" : `${onlyFor}: `;
    return `| ${name} | ${who}${wall}${except}${other} |\n`;
  });
  return `${BEGIN}| attempt | the wall that holds |\n|---|---|\n${rows.join("")}${END}`;
}

/** The page with its table as it must be; undefined: it has no place for one. */
export function withTable(page: string): string | undefined {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) return undefined;
  return page.slice(0, begin) + attackTable() + page.slice(end + END.length);
}

/** Attempts that worked, or failed for another reason than they must. */
export function broken(role: Role, answers: readonly string[]): string[] {
  return ATTEMPTS.flatMap(({ name, refusals, notFor, onlyFor = role, forPasst }, index) => {
    const answer = answers[index] ?? "";
    const wanted = role === "passt" ? (forPasst?.refusals ?? refusals) : refusals;
    const isMeant = notFor !== role && onlyFor === role;
    return !isMeant || wanted.includes(answer) ? [] : [`${role}: ${name}: ${answer}`];
  });
}
