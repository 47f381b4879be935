// SPDX-License-Identifier: Apache-2.0
// How long a container takes to its first output, booted and cloned, against runc and QEMU alone, and
// where the time goes:
//   sudo node --import tsx bench/start.ts [--runs N] [--at-once N] [--accelerator tcg|kvm] [--newer-qemu]
// `--newer-qemu` fetches one that lets clones share memory, as the tests do, and measures it too.
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { newerQemu } from "../test/support/newer-qemu.ts";
import { momentsTable } from "./moments.ts";
import { seconds, summarize } from "./statistics.ts";
import {
  bareQemuSubject,
  mukonSubject,
  runcSubject,
  type Sample,
  type Subject,
} from "./subjects.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    "at-once": { type: "string", default: "1" },
    accelerator: { type: "string", default: "tcg" },
    "newer-qemu": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const atOnce = Number(values["at-once"]);
const subjects: Subject[] = [
  await mukonSubject("cold"),
  await mukonSubject("clone"),
  ...(values["newer-qemu"] ? [await mukonSubject("clone", await newerQemu())] : []),
  await bareQemuSubject(values.accelerator),
  await runcSubject(),
];
try {
  const samples = await interleaved(subjects);
  const base = summarize(outputsOf("runc run")).p50;
  const rows = subjects.map(({ name }) => {
    const { p50, p95, minimum } = summarize(outputsOf(name));
    const end = summarize((samples.get(name) ?? []).map(({ endMs }) => endMs)).p50;
    const ratio = `${(p50 / base).toFixed(1)}x`;
    return [name, seconds(p50), seconds(p95), seconds(minimum), ratio, seconds(end)];
  });
  console.log(`To the first output, ${atOnce} at once, ${runs} times:`);
  const header = ["COMMAND", "P50", "P95", "MINIMUM", "AGAINST RUNC", "COMMAND ENDS P50"];
  console.log(formatTable(header, rows));
  for (const { name } of subjects) {
    const moments = (samples.get(name) ?? []).map((sample) => sample.moments);
    if (moments.some(({ size }) => size > 0)) console.log(`\n${name}:\n${momentsTable(moments)}`);
  }

  function outputsOf(name: string): number[] {
    return (samples.get(name) ?? []).map(({ outputMs }) => outputMs);
  }
} finally {
  for (const subject of subjects) await subject.close();
}

/** Turn by turn, so that a busy moment of the machine falls on all of them; the first turn warms up. */
async function interleaved(all: readonly Subject[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(all.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= runs; turn++) {
    for (const subject of all) {
      const count = turn === 0 ? 1 : atOnce;
      const taken = await Promise.all(Array.from({ length: count }, () => subject.once()));
      if (turn > 0) samples.get(subject.name)?.push(...taken);
    }
  }
  return samples;
}
