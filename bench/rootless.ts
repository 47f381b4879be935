// SPDX-License-Identifier: Apache-2.0
// What it costs that nothing runs as root: mukon as it is against the same mukon whose VMM, keeper and
// virtiofsd run as root, without a jail, filter or control group (bench/unconfined), in one run:
//   sudo node --import tsx bench/rootless.ts [--runs N] [--starts N] [--mib N]
// Pods are clones of a template where they are started, and guests of 2048 MiB; files are read and written
// past the guest's cache, so that each piece goes through VMM and virtiofsd.
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { run } from "../src/linux/run.ts";
import { type Access, accesses, IoPod } from "./io-pod.ts";
import { seconds, summarize } from "./statistics.ts";
import { environmentOf, mukonCommand } from "./subjects.ts";
import { timeToOutput } from "./time-to-output.ts";
import { buildUnconfined } from "./unconfined/build.ts";

const MARKER = "first output";
const STARTS = ["cold", "clone"] as const;
const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "7" },
    starts: { type: "string", default: "7" },
    mib: { type: "string", default: "1024" },
  },
});

// Told to end, it takes away the pods that there are.
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(name, () => {
    process.exitCode = 128 + constants.signals[name];
    stop.abort(new Error(`stopped by ${name}`));
  });
}
const { signal } = stop;
const directory = mkdtempSync(join(tmpdir(), "mukon-bench-rootless-"));
/** The first is what the other is compared with. */
const variants = [
  { name: "root", argv: [process.execPath, "--", join(directory, "mukon.cjs")] },
  { name: "rootless", argv: mukonCommand },
];
try {
  await buildUnconfined(directory);
  const env = environmentOf("clone");
  await run([...mukonCommand, "guest", "template", "build"], { env });
  console.log(await startsTable());
  console.log(await accessesTable());
} catch (error) {
  console.error(`bench/rootless.ts: ${error instanceof Error ? error.message : error}`);
  process.exitCode ??= 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Turn by turn, so that a busy moment of the machine falls on both; the first turn warms up. */
async function startsTable(): Promise<string> {
  const rows: string[][] = [];
  for (const start of STARTS) {
    const env = environmentOf(start);
    const times = variants.map((): number[] => []);
    for (let turn = 0; turn <= Number(values.starts); turn++) {
      for (const [index, { argv }] of variants.entries()) {
        const command = [...argv, "run", "--rm", "busybox", "echo", MARKER];
        const { outputMs } = await timeToOutput(command, { marker: MARKER, signal, env });
        if (turn > 0) times[index]?.push(outputMs);
      }
    }
    const [root = Number.NaN, rootless = Number.NaN] = times.map((each) => summarize(each).p50);
    rows.push([`${start}, first output`, seconds(root), seconds(rootless), cost(rootless / root)]);
  }
  return formatTable(["START, P50", "ROOT", "ROOTLESS", "COST"], rows);
}

async function accessesTable(): Promise<string> {
  const pods: IoPod[] = [];
  try {
    for (const { argv } of variants) {
      signal.throwIfAborted();
      pods.push(await IoPod.start(argv, { env: environmentOf("clone"), mib: Number(values.mib) }));
    }
    const rows: string[][] = [];
    for (const access of accesses()) rows.push(await accessRow(access, pods));
    return formatTable(["READ AND WRITTEN, P50", "ROOT", "ROOTLESS", "COST"], rows);
  } finally {
    for (const pod of pods) await pod.close();
  }
}

async function accessRow(access: Access, pods: readonly IoPod[]): Promise<string[]> {
  const rates = pods.map((): number[] => []);
  for (let turn = 0; turn <= Number(values.runs); turn++) {
    for (const [index, pod] of pods.entries()) {
      signal.throwIfAborted();
      const rate = await pod.rateOf(access);
      if (turn > 0) rates[index]?.push(rate);
    }
  }
  const [root = Number.NaN, rootless = Number.NaN] = rates.map((each) => summarize(each).p50);
  const cells = [root, rootless].map((rate) => `${rate.toFixed(1)} MiB/s`);
  return [`${access.place}, ${access.piece}, ${access.direction}`, ...cells, cost(root / rootless)];
}

/** Of a ratio of times: how much longer the second took. */
function cost(ratio: number): string {
  const percent = (ratio - 1) * 100;
  return `${percent < 0 ? "" : "+"}${percent.toFixed(1)} %`;
}
