// SPDX-License-Identifier: Apache-2.0
import { constants, openSync, type Stats, statSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";

const GROUP_READ_WRITE = 0o060;
const OTHERS_READ_WRITE = 0o006;

/** `MUKON_KVM_NODE` moves it, for tests. */
export function kvmNode(): string {
  return process.env.MUKON_KVM_NODE ?? "/dev/kvm";
}

/**
 * The group that lets a VMM use KVM: the one that owns the node, whatever its name. Undefined: the
 * node is open to everybody, and no group is necessary.
 * @throws KVM_NODE_MISSING, KVM_NODE_INVALID, KVM_GROUP_ROOT, KVM_NODE_CLOSED
 */
export function kvmGroup(path = kvmNode()): { gid: number | undefined } {
  const node = statNode(path);
  const isOpenToAll = (node.mode & OTHERS_READ_WRITE) === OTHERS_READ_WRITE;
  if (node.gid === 0) {
    if (isOpenToAll) return { gid: undefined };
    throw new MukonError(
      "KVM_GROUP_ROOT",
      `${path} belongs to the root group, and a VMM in that group would undo the purpose`,
      { hint: "give the node to the group kvm, for good: mukon check --fix" },
    );
  }
  if ((node.mode & GROUP_READ_WRITE) !== GROUP_READ_WRITE) {
    const mode = (node.mode & 0o7777).toString(8).padStart(4, "0");
    throw new MukonError(
      "KVM_NODE_CLOSED",
      `the group of ${path} (gid ${node.gid}) may not read and write it (mode ${mode})`,
      { hint: "set its mode to 0660, for good: mukon check --fix" },
    );
  }
  return { gid: node.gid };
}

/**
 * KVM for a VMM that is in no group; the caller's to close.
 * @throws KVM_NODE_MISSING, KVM_NODE_INVALID, and the system's error
 */
export function openKvmNode(path = kvmNode()): number {
  statNode(path);
  return openSync(path, constants.O_RDWR);
}

/** @throws KVM_NODE_MISSING, KVM_NODE_INVALID */
export function statNode(path: string): Stats {
  let node: Stats;
  try {
    node = statSync(path);
  } catch (cause) {
    throw new MukonError("KVM_NODE_MISSING", `${path} is not there`, {
      hint: 'switch virtualization on in the firmware and load kvm_intel or kvm_amd, or use emulation: accelerator = "tcg"',
      cause,
    });
  }
  if (!node.isCharacterDevice()) {
    throw new MukonError("KVM_NODE_INVALID", `${path} is no character device`, {
      hint: "remove it, and let the kernel make it again: modprobe -r kvm_intel kvm && modprobe kvm_intel",
    });
  }
  return node;
}
