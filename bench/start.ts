// SPDX-License-Identifier: Apache-2.0
// How long a container takes to its first output, booted and cloned, against runc and QEMU alone:
//   sudo node --import tsx bench/start.ts [--runs N]
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { stagesOfOnePod } from "./stages.ts";
import { seconds, summarize } from "./statistics.ts";
import {
  bareQemuSubject,
  environmentOf,
  mukonSubject,
  runcSubject,
  type Start,
  type Subject,
} from "./subjects.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    accelerator: { type: "string", default: "tcg" },
  },
});
const runs = Number(values.runs);
const subjects: Subject[] = [
  await mukonSubject("cold"),
  await mukonSubject("clone"),
  await bareQemuSubject(values.accelerator),
  await runcSubject(),
];
try {
  const samples = await interleaved(subjects, runs);
  const base = summarize(samples.get("runc run") ?? []).p50;
  const rows = subjects.map(({ name }) => {
    const { p50, p95, minimum } = summarize(samples.get(name) ?? []);
    return [name, seconds(p50), seconds(p95), seconds(minimum), `${(p50 / base).toFixed(1)}x`];
  });
  console.log(formatTable(["COMMAND", "P50", "P95", "MINIMUM", "AGAINST RUNC"], rows));
  for (const start of ["cold", "clone"] as const) {
    console.log(`\nmukon run, ${start}:\n${await stageTable(start, runs)}`);
  }
} finally {
  for (const subject of subjects) await subject.close();
}

/** Where the time of a pod's start goes; "boot" and "clone" hold "restore", "start" and "agent". */
async function stageTable(start: Start, count: number): Promise<string> {
  const samples = new Map<string, number[]>();
  for (let turn = 0; turn < count; turn++) {
    for (const [name, time] of await stagesOfOnePod(environmentOf(start))) {
      samples.set(name, [...(samples.get(name) ?? []), time]);
    }
  }
  const rows = [...samples].map(([name, times]) => {
    const { p50, p95 } = summarize(times);
    return [name, seconds(p50), seconds(p95)];
  });
  return formatTable(["STAGE", "P50", "P95"], rows);
}

/** Turn by turn, so that a busy moment of the machine falls on all of them; the first turn warms up. */
async function interleaved(all: readonly Subject[], count: number): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= count; turn++) {
    for (const subject of all) {
      const time = await subject.once();
      if (turn > 0) samples.get(subject.name)?.push(time);
    }
  }
  return samples;
}
