// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatTable } from "../src/cli/output/table.ts";
import type { Moment } from "../src/logging/moments.ts";
import { seconds, summarize } from "./statistics.ts";

/** Milliseconds from the start of a command to each moment that its programs took note of. */
export type Moments = ReadonlyMap<string, number>;

const directory = mkdtempSync(join(tmpdir(), "mukon-bench-moments-"));
process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
let files = 0;

/** A file of its own for the moments of one command, for `MUKON_MOMENTS_FILE`. */
export function newMomentsFile(): string {
  files += 1;
  return join(directory, String(files));
}

/** @param beganAt when the command was started, in milliseconds since the epoch */
export function readMoments(file: string, beganAt: number): Moments {
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return new Map(
    lines
      .map((line) => JSON.parse(line) as Moment)
      .map(({ program, name, at }): [string, number] => [`${program}: ${name}`, at - beganAt]),
  );
}

/** In the order in which they usually come; a step is the time since the moment before. */
export function momentsTable(samples: readonly Moments[]): string {
  const times = new Map<string, number[]>();
  for (const moments of samples) {
    for (const [name, time] of moments) times.set(name, [...(times.get(name) ?? []), time]);
  }
  const all = [...times]
    .map(([name, each]) => ({ name, ...summarize(each) }))
    .sort((a, b) => a.p50 - b.p50);
  const rows = all.map(({ name, p50, p95 }, index) => {
    const step = p50 - (all[index - 1]?.p50 ?? 0);
    return [name, `+${Math.round(step)} ms`, seconds(p50), seconds(p95)];
  });
  return formatTable(["MOMENT", "STEP", "AT P50", "AT P95"], rows);
}
