// SPDX-License-Identifier: Apache-2.0
// How long a container takes to its first output, booted and cloned, against runc and QEMU alone, and
// where the time goes:
//   sudo node --import tsx bench/start.ts [--runs N] [--at-once N] [--accelerator tcg|kvm] [--newer-qemu]
// The first command that fails stops the others, which clean up; so does Ctrl-C. Then there are no figures.
// `--newer-qemu` fetches one that lets clones share memory, as the tests do, and measures it too.
import { constants } from "node:os";
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { newerQemu } from "../test/support/newer-qemu.ts";
import { atOnce } from "./at-once.ts";
import { momentsTable } from "./moments.ts";
import { seconds, summarize } from "./statistics.ts";
import { bareQemuSubject, mukonSubject, runcSubject, type Subject } from "./subjects.ts";
import type { Sample } from "./time-to-output.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    "at-once": { type: "string", default: "1" },
    accelerator: { type: "string", default: "tcg" },
    "newer-qemu": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const count = Number(values["at-once"]);
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    process.exitCode = 128 + constants.signals[name];
    stop.abort(new Error(`stopped by ${name}`));
  });
}
const subjects: Subject[] = [];
try {
  for await (const subject of prepared()) {
    subjects.push(subject);
    stop.signal.throwIfAborted();
  }
  report(await interleaved());
} catch (error) {
  console.error(`bench/start.ts: ${error instanceof Error ? error.message : error}`);
  process.exitCode ??= 1;
} finally {
  for (const subject of subjects) await subject.close();
}

async function* prepared(): AsyncGenerator<Subject> {
  yield await mukonSubject("cold");
  yield await mukonSubject("clone");
  if (values["newer-qemu"]) yield await mukonSubject("clone", await newerQemu());
  yield await bareQemuSubject(values.accelerator);
  yield await runcSubject();
}

/** Turn by turn, so that a busy moment of the machine falls on all of them; the first turn warms up. */
async function interleaved(): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let turn = 0; turn <= runs; turn++) {
    for (const subject of subjects) {
      const once = (signal: AbortSignal): Promise<Sample> => subject.once(signal);
      const taken = await atOnce(turn === 0 ? 1 : count, stop.signal, once);
      if (turn > 0) samples.get(subject.name)?.push(...taken);
    }
  }
  return samples;
}

function report(samples: ReadonlyMap<string, Sample[]>): void {
  const of = (name: string, time: "outputMs" | "endMs"): ReturnType<typeof summarize> =>
    summarize((samples.get(name) ?? []).map((sample) => sample[time]));
  const base = of("runc run", "outputMs").p50;
  const rows = subjects.map(({ name }) => {
    const { p50, p95, minimum } = of(name, "outputMs");
    const ratio = `${(p50 / base).toFixed(1)}x`;
    const end = seconds(of(name, "endMs").p50);
    return [name, seconds(p50), seconds(p95), seconds(minimum), ratio, end];
  });
  console.log(`To the first output, ${count} at once, ${runs} times:`);
  const header = ["COMMAND", "P50", "P95", "MINIMUM", "AGAINST RUNC", "COMMAND ENDS P50"];
  console.log(formatTable(header, rows));
  for (const { name } of subjects) {
    const moments = (samples.get(name) ?? []).map((sample) => sample.moments);
    if (moments.some(({ size }) => size > 0)) console.log(`\n${name}:\n${momentsTable(moments)}`);
  }
}
