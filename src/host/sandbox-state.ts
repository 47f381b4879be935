// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../errors/mukon-error.ts";
import { writeFileAtomic } from "../linux/atomic-file.ts";
import { sandboxDirectory, sandboxesDirectory } from "../linux/paths.ts";
import type { ProcessHandle } from "../linux/pidfd.ts";
import { assertSandboxKey } from "./sandbox-key.ts";

const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_fffe));

/** A process as JSON has it: clock ticks since boot stay far below 2^53. */
const processRecord = v.object({
  pid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  startTime: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

const identity = v.object({
  number: v.pipe(v.number(), v.integer()),
  backend: v.picklist(["user-records", "useradd"]),
  block: v.object({ base: id, size: v.number() }),
  vmm: v.object({ uid: id, gid: id, name: v.string() }),
  keeper: v.object({ uid: id, gid: id }),
});

const sandboxState = v.object({
  id: v.string(),
  namespace: v.string(),
  /** Directory of the bundle. */
  bundle: v.string(),
  /** Of the shim's socket, such as `unix:///run/mukon/s/…`. */
  address: v.optional(v.string()),
  hypervisor: v.string(),
  accelerator: v.optional(v.picklist(["kvm", "tcg"])),
  /** How the VMM got at KVM, if it uses that: without, it may be in the node's group. */
  kvmAccess: v.optional(v.picklist(["descriptor", "group"])),
  /** A sentence for people: why this one. */
  acceleratorReason: v.optional(v.string()),
  /** False: the VMM runs as root, because the configuration says so. */
  rootless: v.boolean(),
  /** The template that it is a clone of; none: it was booted. */
  template: v.optional(v.string()),
  /** How it came by that template's memory. */
  templateMemory: v.optional(v.picklist(["shared", "copied"])),
  /** Its interfaces, each with the tap device (or the process) that the VMM has; none: no network. */
  network: v.optional(
    v.array(
      v.object({
        name: v.string(),
        mac: v.string(),
        tap: v.string(),
        /** With their prefixes: `10.1.0.2/16`. */
        addresses: v.array(v.string()),
      }),
    ),
  ),
  /** The cgroup whose programs keep passt from the host. */
  wall: v.optional(v.string()),
  /** ISO 8601. */
  createdAt: v.string(),
  identity: v.optional(identity),
  runtimeDirectory: v.optional(v.string()),
  processes: v.object({
    shim: processRecord,
    keeper: v.optional(processRecord),
    vmm: v.optional(processRecord),
    /** Where the pod's network namespace is one that its client finds by a pid. */
    network: v.optional(processRecord),
    /** There once something is shared. */
    virtiofsd: v.optional(processRecord),
    /** There when the pod has a network in user mode. */
    passt: v.optional(processRecord),
  }),
});

export type ProcessRecord = v.InferOutput<typeof processRecord>;

/** What is known of a sandbox by those who are not its shim: `mukon inspect`, `audit`, `gc`. */
export type SandboxState = v.InferOutput<typeof sandboxState>;

export type SandboxRole = keyof SandboxState["processes"];

export function toProcessRecord(handle: ProcessHandle): ProcessRecord {
  return { pid: handle.pid, startTime: Number(handle.startTime) };
}

export function toProcessHandle(record: ProcessRecord): ProcessHandle {
  return { pid: record.pid, startTime: BigInt(record.startTime) };
}

/** The directory of the sandbox must exist: opening its journal makes it. */
export function writeSandboxState(key: string, state: SandboxState): void {
  writeFileAtomic(statePath(key), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
}

/**
 * Undefined: there is no such sandbox, or it has not come as far as a state.
 * @throws SANDBOX_STATE_INVALID
 */
export function readSandboxState(key: string): SandboxState | undefined {
  const path = statePath(key);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw invalid(path, cause);
  }
  try {
    return v.parse(sandboxState, JSON.parse(text));
  } catch (cause) {
    throw invalid(path, cause);
  }
}

/** Keys of all sandboxes that are there, alive or not, in order. */
export function listSandboxes(): string[] {
  try {
    return readdirSync(sandboxesDirectory(), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function statePath(key: string): string {
  assertSandboxKey(key);
  return join(sandboxDirectory(key), "state.json");
}

function invalid(path: string, cause: unknown): MukonError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MukonError("SANDBOX_STATE_INVALID", `${path} cannot be read: ${why}`, {
    hint: "if its pod is gone: mukon gc",
    cause,
  });
}
