// SPDX-License-Identifier: Apache-2.0
import {
  listProcesses,
  type ProcessStatus,
  readProcessStatus,
} from "../../linux/process-status.ts";
import { processesOfBlocks } from "../identity/block-processes.ts";
import { isRunning } from "../journal/liveness.ts";
import { type SandboxState, toProcessHandle } from "../sandbox-state.ts";
import type { AuditRole, FoundProcess } from "./types.ts";

const ROLES = ["shim", "keeper", "vmm", "network", "virtiofsd", "passt"] as const;

/**
 * Every process of a pod: those that were written down, all with an id of its block, and all that
 * descend from its shim.
 */
export function findProcesses(state: SandboxState): {
  processes: FoundProcess[];
  ended: AuditRole[];
} {
  const found = new Map<number, FoundProcess>();
  const add = (status: ProcessStatus, role: AuditRole): void => {
    if (!found.has(status.pid)) found.set(status.pid, { role, status });
  };
  const ended: AuditRole[] = [];
  for (const role of ROLES) {
    const record = state.processes[role];
    if (record === undefined) continue;
    const status = isRunning(toProcessHandle(record)) ? readProcessStatus(record.pid) : undefined;
    if (status === undefined) ended.push(role);
    else add(status, role);
  }
  const blocks = state.identity === undefined ? [] : [state.identity.number];
  for (const status of processesOfBlocks(blocks)) add(status, "unknown");
  const pidsOf = (isWanted: (role: AuditRole) => boolean): number[] =>
    [...found.values()].filter(({ role }) => isWanted(role)).map(({ status }) => status.pid);
  // First those that come from the confined ones: they are nobody's helpers, whoever they run as.
  const confined = pidsOf((role) => role !== "shim");
  for (const status of descendantsOf(confined)) add(status, "unknown");
  for (const status of descendantsOf(pidsOf((role) => role === "shim"))) add(status, "helper");
  return { processes: [...found.values()], ended };
}

function descendantsOf(roots: readonly number[]): ProcessStatus[] {
  if (roots.length === 0) return [];
  const all = listProcesses()
    .map((pid) => readProcessStatus(pid))
    .filter((status) => status !== undefined)
    .filter(isRunning);
  const family = new Set(roots);
  // Children may come before their parents in the list: again until nobody new turns up.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const { pid, ppid } of all) if (family.has(ppid)) family.add(pid);
  }
  return all.filter(({ pid }) => !roots.includes(pid) && family.has(pid));
}
