// SPDX-License-Identifier: Apache-2.0
// What idle pods take of the host's memory: booted, cloned with memory copied, cloned with it shared:
//   sudo node --import tsx bench/memory.ts [--pods N] [--memory MIB] [--ways booted,copied,shared]
//     [--newer-qemu | --qemu PATH]
// Sharing takes QEMU 8.2; `--newer-qemu` fetches one and unpacks it, as the tests do.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { formatTable } from "../src/cli/output/table.ts";
import { readSandboxState, type SandboxState } from "../src/host/sandbox-state.ts";
import { run } from "../src/linux/run.ts";
import { newerQemu } from "../test/support/newer-qemu.ts";
import { availableMemory, type MemoryUse, memoryOf } from "./process-memory.ts";

const ROLES = ["shim", "keeper", "vmm"] as const;
/** A guest that has just started still has things to do. */
const SETTLE_MS = 5_000;
const AT_ONCE = 2;
const BYTES_PER_MIB = 1024 * 1024;
const mukon = [process.execPath, "--", join(import.meta.dirname, "..", "dist", "mukon.cjs")];

/** Name and settings; the first is what the others are compared with. */
const WAYS = {
  booted: { factory: { enable_template: false } },
  copied: { factory: { enable_template: true }, mukon: { template_memory: "copied" } },
  shared: { factory: { enable_template: true }, mukon: { template_memory: "auto" } },
} as const;
type Way = keyof typeof WAYS;

interface Measured {
  roles: Record<(typeof ROLES)[number], MemoryUse>;
  /** By how much what the machine has left went down. */
  machine: number;
}

const { values } = parseArgs({
  options: {
    pods: { type: "string", default: "20" },
    memory: { type: "string", default: "512" },
    ways: { type: "string", default: Object.keys(WAYS).join() },
    qemu: { type: "string" },
    "newer-qemu": { type: "boolean", default: false },
  },
});
const pods = Number(values.pods);
const qemuPath = values["newer-qemu"] ? await newerQemu() : values.qemu;
const directory = mkdtempSync(join(tmpdir(), "mukon-bench-memory-"));
// Told to end, it starts no more pods, and takes away those that there are.
let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
try {
  const measured = new Map<Way, Measured>();
  for (const way of (Object.keys(WAYS) as Way[]).filter(isWanted)) {
    const result = await measure(way);
    if (result !== undefined) measured.set(way, result);
  }
  if (!isEnding) console.log(report(measured));
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function end(): void {
  isEnding = true;
  process.exitCode = 1;
}

function isWanted(way: Way): boolean {
  return values.ways.split(",").includes(way) && !isEnding;
}

/** Undefined where clones do not come by their memory in this way. */
async function measure(way: Way): Promise<Measured | undefined> {
  const env = environmentOf(way);
  if (way !== "booted") await run([...mukon, "guest", "template", "build"], { env });
  const before = availableMemory();
  const ids: string[] = [];
  try {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, worker) => {
        for (let turn = worker; turn < pods && !isEnding; turn += AT_ONCE) {
          const argv = [...mukon, "run", "-d", "busybox", "sleep", "100000"];
          ids.push((await run(argv, { env })).stdout.trim());
        }
      }),
    );
    if (isEnding) return undefined;
    await delay(SETTLE_MS);
    const states = ids.map(stateOf);
    if (states.some((state) => (state.templateMemory ?? "booted") !== way)) return undefined;
    const roles = Object.fromEntries(
      ROLES.map((role) => [role, memoryOf(states.map((state) => pidOf(state, role)))]),
    );
    return { roles: roles as Measured["roles"], machine: before - availableMemory() };
  } finally {
    for (const id of ids) await run([...mukon, "rm", "--force", id], { env });
  }
}

function environmentOf(way: Way): NodeJS.ProcessEnv {
  const path = join(directory, `${way}.toml`);
  const qemu = {
    default_memory: Number(values.memory),
    ...(qemuPath === undefined ? {} : { path: qemuPath }),
  };
  const tables = Object.entries({ ...WAYS[way], "hypervisor.qemu": qemu }).map(
    ([name, keys]) =>
      `[${name}]\n${Object.entries(keys)
        .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
        .join("")}`,
  );
  writeFileSync(path, tables.join("\n"));
  return { ...process.env, MUKON_CONFIG: path, MUKON_BUILD_TEMPLATES: "never" };
}

function stateOf(id: string): SandboxState {
  const state = readSandboxState(id);
  if (state === undefined) throw new Error(`there is no sandbox of ${id}`);
  return state;
}

function pidOf(state: SandboxState, role: (typeof ROLES)[number]): number {
  const pid = state.processes[role]?.pid;
  if (pid === undefined) throw new Error(`${state.id} has no ${role}`);
  return pid;
}

/** Per pod, in MiB. */
function report(measured: ReadonlyMap<Way, Measured>): string {
  const base = measured.get("booted")?.machine ?? Number.NaN;
  const rows = [...measured].map(([way, { roles, machine }]) => [
    way,
    ...ROLES.flatMap((role) => [perPod(roles[role].proportional), perPod(roles[role].private)]),
    perPod(roles.vmm.files),
    perPod(machine),
    `${(base / machine).toFixed(2)}x less`,
  ]);
  const columns = ROLES.flatMap((role) => [`${role.toUpperCase()} PSS`, "PRIVATE"]);
  const heads = ["PODS", ...columns, "MEMFD", "MACHINE", "AGAINST BOOTED"];
  return `${pods} pods of ${values.memory} MiB; MiB of the host's memory for each:\n${formatTable(heads, rows)}`;
}

function perPod(bytes: number): string {
  return (bytes / pods / BYTES_PER_MIB).toFixed(1);
}
