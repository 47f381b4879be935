// SPDX-License-Identifier: Apache-2.0
import { type Stats, statSync } from "node:fs";
import { readDescriptors } from "../../linux/process-status.ts";
import { pathOnHost } from "../jail/types.ts";
import { kvmNode } from "../launcher/kvm-group.ts";
import type { SandboxState } from "../sandbox-state.ts";
import { VFIO_DIRECTORY } from "../vfio/jail-nodes.ts";
import type { FoundProcess } from "./types.ts";

const OTHERS = 0o007;
const OTHERS_WRITE = 0o002;
/** Nodes that every Linux leaves open to all. */
const OPEN_NODES =
  /^\/dev\/(null|zero|full|random|urandom|tty|ptmx|fuse|net\/tun|pts\/(ptmx|\d+))$/;

/** P3: what of the host was loosened for this process; empty: nothing. */
export function brokenHost({ role, status }: FoundProcess, state: SandboxState): string[] {
  const reasons = role === "vmm" ? brokenKvmNode() : [];
  for (const [fd, path] of readDescriptors(status.pid)) {
    const target = pathOnHost(path);
    const file = statDescriptor(status.pid, fd);
    if (file === undefined || file.nlink === 0 || !target.startsWith("/")) continue;
    const isNode = file.isCharacterDevice() || file.isBlockDevice();
    if (isNode && (file.mode & OTHERS_WRITE) !== 0 && !OPEN_NODES.test(target)) {
      if (target !== kvmNode()) reasons.push(`${target} is open to everybody`);
    }
    // It serves files with their owners mapped: on disk they are not the pod's.
    if (role === "virtiofsd") continue;
    const isGiven = (isNode || file.isFile()) && isGivenAway(file, state);
    if (isGiven && !isOwnFile(target, state) && !isNodeOfJail(target, file)) {
      reasons.push(`${target} was given to its user or group`);
    }
  }
  return [...new Set(reasons)];
}

function brokenKvmNode(): string[] {
  const node = statSync(kvmNode(), { throwIfNoEntry: false });
  if (node === undefined) return [];
  const mode = (node.mode & 0o7777).toString(8).padStart(4, "0");
  const reasons: string[] = [];
  if ((node.mode & OTHERS) !== 0) reasons.push(`${kvmNode()} is open to everybody (mode ${mode})`);
  if (node.uid !== 0) reasons.push(`${kvmNode()} belongs to uid ${node.uid}, not to root`);
  return reasons;
}

/** Files that belong to an id of the pod. */
function isGivenAway(file: Stats, { identity }: SandboxState): boolean {
  if (identity === undefined) return false;
  const { base, size } = identity.block;
  return [file.uid, file.gid].some((id) => id >= base && id < base + size);
}

/** What the VMM made itself: in its runtime directory, or with no name in any directory. */
function isOwnFile(target: string, { runtimeDirectory }: SandboxState): boolean {
  if (target.endsWith(" (deleted)") || target.startsWith("/memfd:")) return true;
  return runtimeDirectory !== undefined && target.startsWith(`${runtimeDirectory}/`);
}

/**
 * A VFIO group's node that was made for the jail: the host's own is another one. It is seen without its
 * directory when that has been made anew since, for one group more or less.
 */
function isNodeOfJail(target: string, file: Stats): boolean {
  const name = /^(?:\/dev\/vfio)?\/(vfio|\d+)$/.exec(target)?.[1];
  if (name === undefined || !file.isCharacterDevice()) return false;
  const ofHost = statSync(`${VFIO_DIRECTORY}/${name}`, { throwIfNoEntry: false });
  return ofHost === undefined || ofHost.dev !== file.dev || ofHost.ino !== file.ino;
}

function statDescriptor(pid: number, fd: number): Stats | undefined {
  try {
    return statSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    // Closed since.
    return undefined;
  }
}
