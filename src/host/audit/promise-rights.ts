// SPDX-License-Identifier: Apache-2.0
import { statSync } from "node:fs";
import { networkHolderIds } from "../identity/types.ts";
import { kvmNode } from "../launcher/kvm-group.ts";
import { findDeviations } from "../launcher/verify.ts";
import { passtConfinement } from "../network/user/passt.ts";
import type { SandboxState } from "../sandbox-state.ts";
import { sharedFsConfinement } from "../shared-fs/launch.ts";
import type { FoundProcess } from "./types.ts";

/** P1: what a process could do on the host that it must not be able to; empty: nothing. */
export function brokenRights(found: FoundProcess, state: SandboxState): string[] {
  const { role, status } = found;
  const { identity } = state;
  if (role === "virtiofsd" && identity !== undefined) {
    return findDeviations(status, sharedFsConfinement(identity)).map(({ message }) => message);
  }
  if (role === "passt" && identity !== undefined) {
    return findDeviations(status, passtConfinement(identity)).map(({ message }) => message);
  }
  const ids = idsOf(found, state);
  if (ids === undefined) return ["nobody wrote down who it runs as"];
  const deviations = findDeviations(status, {
    role,
    ...ids,
    groups: status.groups.filter((group) => isAllowedGroup(group, found, state)),
    seccomp: role === "vmm" || role === "keeper" ? "filter" : "any",
    ownNamespaces: [],
  });
  const reasons = deviations.map(({ message }) => message);
  if (!state.rootless && role === "vmm") reasons.unshift("it runs as root, since rootless = false");
  return reasons;
}

function idsOf(
  { role, status }: FoundProcess,
  { identity }: SandboxState,
): { uid: number; gid: number } | undefined {
  if (identity === undefined) return undefined;
  if (role === "vmm" || role === "keeper") return identity[role];
  if (role === "network") return networkHolderIds(identity);
  // Of another process all that can be said is that its ids must be the pod's, and one each.
  const uid = status.uids[0] ?? 0;
  const gid = status.gids[0] ?? 0;
  const { base, size } = identity.block;
  const isInside = (id: number): boolean => id >= base && id < base + size;
  return isInside(uid) && isInside(gid) ? { uid, gid } : undefined;
}

/** The VMM may be in the group that owns /dev/kvm, when it opened that itself; nobody in any other. */
function isAllowedGroup(group: number, { role }: FoundProcess, state: SandboxState): boolean {
  const isByGroup = state.accelerator === "kvm" && state.kvmAccess !== "descriptor";
  return group !== 0 && role === "vmm" && isByGroup && group === kvmNodeGroup();
}

function kvmNodeGroup(): number | undefined {
  return statSync(kvmNode(), { throwIfNoEntry: false })?.gid;
}
