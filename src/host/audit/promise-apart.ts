// SPDX-License-Identifier: Apache-2.0
import { lstatSync } from "node:fs";
import { sandboxDirectory } from "../../linux/paths.ts";
import { readDescriptors, readNamespaces } from "../../linux/process-status.ts";
import { ownerOfBlock } from "../identity/blocks.ts";
import { deviationsOfRoot, kindOfRoot, readRoot } from "../jail/inspect-root.ts";
import { deviationsOfWall } from "../network/user/wall.ts";
import { listSandboxes, readSandboxState, type SandboxState } from "../sandbox-state.ts";
import { findProcesses } from "./find-processes.ts";
import type { AuditRole, FoundProcess } from "./types.ts";

/** Namespaces through which processes could meet. */
const APART = ["net", "ipc", "uts", "mnt", "pid"] as const;
/** These see nothing but a root that was made for them. */
const JAILED: ReadonlySet<AuditRole> = new Set(["vmm", "keeper", "network", "passt"]);
const RUNTIME_DIRECTORY_MODE = 0o700;

/** Another pod, and what of it must not turn up in this one. */
export interface Neighbour {
  key: string;
  state: SandboxState;
  networks: Set<string>;
  /** As in /proc/<pid>/fd: `socket:[1234]`. */
  sockets: Set<string>;
}

export function findNeighbours(key: string): Neighbour[] {
  return listSandboxes()
    .filter((other) => other !== key)
    .flatMap((other) => {
      const state = readSandboxStateQuietly(other);
      return state === undefined ? [] : [describe(other, state)];
    });
}

/** P2: what a process shares with another pod or with the host; empty: nothing. */
export function brokenSeparation(
  { role, status }: FoundProcess,
  pod: { key: string; state: SandboxState; neighbours: readonly Neighbour[] },
): string[] {
  const reasons = brokenIdentity(pod.key, pod.state, pod.neighbours);
  const own = readNamespaces(status.pid);
  const host = hostNamespaces();
  for (const name of APART) {
    // It is what reaches the network for the pod; what it does not reach is a matter of its wall.
    if (role === "passt" && name === "net") continue;
    if (own[name] === undefined || own[name] === host[name]) {
      reasons.push(`it is in the host's ${name} namespace`);
    }
  }
  const root = readRoot(status.pid);
  if (role === "passt") reasons.push(...brokenWall(status.pid, pod.state));
  if (JAILED.has(role)) reasons.push(...deviationsOfRoot(root));
  if (role === "virtiofsd" && kindOfRoot(root) !== "share") {
    reasons.push("its root is not what it shares");
  }
  const targets = [...readDescriptors(status.pid).values()];
  for (const { key, state, networks, sockets } of pod.neighbours) {
    if (own.net !== undefined && own.net !== host.net && networks.has(own.net)) {
      reasons.push(`it shares its network with sandbox ${key}`);
    }
    if (targets.some((target) => sockets.has(target))) {
      reasons.push(`it shares a socket with sandbox ${key}`);
    }
    const directories = [sandboxDirectory(key), state.runtimeDirectory].filter(Boolean);
    const foreign = targets.find((target) =>
      directories.some((directory) => target.startsWith(`${directory}/`)),
    );
    if (foreign !== undefined) reasons.push(`it has ${foreign} of sandbox ${key} open`);
  }
  return reasons;
}

function brokenWall(pid: number, { wall }: SandboxState): string[] {
  if (wall === undefined) return ["nobody wrote down which wall it is behind"];
  return deviationsOfWall({ cgroup: wall }, pid);
}

function brokenIdentity(
  key: string,
  { identity, runtimeDirectory }: SandboxState,
  neighbours: readonly Neighbour[],
): string[] {
  if (identity === undefined) return ["the pod has no ids of its own"];
  const reasons: string[] = [];
  if (ownerOfBlock(identity.number) !== key) {
    reasons.push(`its block of ids (${identity.number}) is not reserved for this pod`);
  }
  for (const other of neighbours) {
    if (other.state.identity?.number === identity.number) {
      reasons.push(`sandbox ${other.key} has the same block of ids`);
    }
  }
  if (runtimeDirectory === undefined) return reasons;
  const directory = lstatSync(runtimeDirectory, { throwIfNoEntry: false });
  const isPrivate =
    directory?.uid === identity.vmm.uid && (directory.mode & 0o7777) === RUNTIME_DIRECTORY_MODE;
  if (!isPrivate) reasons.push(`${runtimeDirectory} is not for its user alone`);
  return reasons;
}

function describe(key: string, state: SandboxState): Neighbour {
  const networks = new Set<string>();
  const sockets = new Set<string>();
  for (const { role, status } of findProcesses(state).processes) {
    if (role === "shim" || role === "helper") continue;
    const { net } = readNamespaces(status.pid);
    if (net !== undefined && role !== "passt") networks.add(net);
    for (const target of readDescriptors(status.pid).values()) {
      if (target.startsWith("socket:")) sockets.add(target);
    }
  }
  return { key, state, networks, sockets };
}

export function hostNamespaces(): ReturnType<typeof readNamespaces> {
  const first = readNamespaces(1);
  return first.net === undefined ? readNamespaces(process.pid) : first;
}

function readSandboxStateQuietly(key: string): SandboxState | undefined {
  try {
    return readSandboxState(key);
  } catch {
    // Damaged: its own audit says so.
    return undefined;
  }
}
