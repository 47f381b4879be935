// SPDX-License-Identifier: Apache-2.0
// Pods and containers under containerd, with mukon and with runc in the same run, and what the pod's host
// processes take of the node's memory (the overhead of deploy/kubernetes/runtimeclass.yaml):
//   sudo node --import tsx bench/pod.ts [--runs N] [--at-once N] [--execs N] [--booted]
// Pods are clones of a template, which is made first; with --booted every guest boots.
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { readSandboxState } from "../src/host/sandbox-state.ts";
import { Containerd, RUNTIME } from "../test/support/containerd.ts";
import { mukon } from "../test/support/mukon.ts";
import { PodWorld } from "../test/support/pod-world.ts";
import { TimedClient } from "./containerd-client.ts";
import { millicoresOf } from "./process-cpu.ts";
import { memoryOf } from "./process-memory.ts";
import { seconds, summarize } from "./statistics.ts";

const BYTES_PER_MIB = 1024 * 1024;
/** A guest that has just started still has things to do. */
const SETTLE_MS = 5_000;
const WATCHED_MS = 10_000;
const ROLES = ["shim", "keeper", "vmm", "virtiofsd"] as const;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "4" },
    "at-once": { type: "string", default: "10" },
    execs: { type: "string", default: "10" },
    booted: { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const atOnce = Number(values["at-once"]);
process.env.MUKON_BUILD_TEMPLATES = "never";

/** Samples in milliseconds by what was done, then by runtime. */
const samples = new Map<string, Map<string, number[]>>();
const world = new PodWorld({
  blocks: 32,
  settings: {
    "agent.kata": { dial_timeout: 300 },
    factory: { enable_template: !values.booted },
  },
});
const containerd = await startContainerd();
try {
  const clients = [RUNTIME, "io.containerd.runc.v2"].map((one) => new TimedClient(containerd, one));
  for (let turn = 0; turn <= runs; turn++) {
    for (const client of clients) await onePod(client, turn > 0);
  }
  for (const client of clients) await manyPods(client);
  console.log(timesTable(clients));
  console.log(await memoryTable());
} finally {
  await containerd.close();
  await world.end();
}

async function startContainerd(): Promise<Containerd> {
  try {
    if (!values.booted) await mukon(["guest", "template", "build"]);
    return await Containerd.start(world);
  } catch (error) {
    await world.end();
    throw error;
  }
}

/** The first turn warms up. */
async function onePod(client: TimedClient, isCounted: boolean): Promise<void> {
  const note = isCounted ? noteOf(client, "1") : () => {};
  const once = await client.runOnce();
  note("run, first output", once.outputMs);
  note("run, removed", once.endMs);
  const { id, endMs } = await client.create();
  note("create", endMs);
  const execs = isCounted ? Math.ceil(Number(values.execs) / runs) : 1;
  for (let count = 0; count < execs; count++) {
    const exec = await client.exec(id);
    note("exec, first output", exec.outputMs);
    note("exec, ended", exec.endMs);
  }
  note("delete", await client.remove(id));
}

async function manyPods(client: TimedClient): Promise<void> {
  const note = noteOf(client, String(atOnce));
  const all = async <T>(act: (index: number) => Promise<T>): Promise<T[]> =>
    await Promise.all(Array.from({ length: atOnce }, (_, index) => act(index)));
  for (const once of await all(() => client.runOnce())) {
    note("run, first output", once.outputMs);
    note("run, removed", once.endMs);
  }
  const pods = await all(() => client.create());
  for (const { endMs } of pods) note("create", endMs);
  const ids = pods.map(({ id }) => id);
  for (const exec of await all((index) => client.exec(ids[index] ?? ""))) {
    note("exec, first output", exec.outputMs);
    note("exec, ended", exec.endMs);
  }
  for (const endMs of await all((index) => client.remove(ids[index] ?? ""))) note("delete", endMs);
}

function noteOf(client: TimedClient, count: string): (what: string, ms?: number) => void {
  return (what, ms) => {
    if (ms === undefined) return;
    const key = `${what}|${count}`;
    const byRuntime = samples.get(key) ?? new Map<string, number[]>();
    byRuntime.set(client.runtime, [...(byRuntime.get(client.runtime) ?? []), ms]);
    samples.set(key, byRuntime);
  };
}

function timesTable(clients: readonly TimedClient[]): string {
  const rows = [...samples].map(([key, byRuntime]) => {
    const [what = "", count = ""] = key.split("|");
    const found = clients.map(({ runtime }) => summarize(byRuntime.get(runtime) ?? []));
    const ratio = (found[0]?.p50 ?? Number.NaN) / (found[1]?.p50 ?? Number.NaN);
    const cells = found.flatMap(({ p50, p95 }) => [seconds(p50), seconds(p95)]);
    return [what, count, ...cells, `${ratio.toFixed(1)}x`];
  });
  const heads = ["WHAT", "AT ONCE", "MUKON P50", "P95", "RUNC P50", "P95", "MUKON AGAINST RUNC"];
  return `${values.booted ? "Booted" : "Cloned"}, ${runs} turns:\n${formatTable(heads, rows)}`;
}

/** Of one idle pod: memory in MiB, CPU in thousandths of one. */
async function memoryTable(): Promise<string> {
  const client = new TimedClient(containerd, RUNTIME);
  const { id } = await client.create();
  try {
    await delay(SETTLE_MS);
    const { processes } = readSandboxState(`default..${id}`) ?? {};
    const found = ROLES.flatMap((role) => {
      const pid = processes?.[role]?.pid;
      return pid === undefined ? [] : [{ role, pid }];
    });
    const pids = found.map(({ pid }) => pid);
    const cpu = await millicoresOf(pids, WATCHED_MS);
    const rows = pids.map((pid, index) => {
      const { private: own, proportional, kept } = memoryOf([pid]);
      const memory = [own, proportional, kept].map((bytes) => bytes / BYTES_PER_MIB);
      return [...memory, cpu[index] ?? 0];
    });
    const total = [0, 1, 2, 3].map((column) => sum(rows.map((row) => row[column] ?? 0)));
    const cells = [...rows, total].map((row, index) => [
      found[index]?.role ?? "all",
      ...row.map((cell) => cell.toFixed(1)),
    ]);
    const heads = ["PROCESS", "PRIVATE", "PSS", "OF IT KEPT", "MILLICORES"];
    return `\nAn idle pod's host processes, MiB:\n${formatTable(heads, cells)}`;
  } finally {
    await client.remove(id);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
