// SPDX-License-Identifier: Apache-2.0
import type { IdMap } from "../../linux/user-namespace.ts";

/** Host ids of one pod: as many as an ordinary container's user namespace has. */
export const ID_BLOCK_SIZE = 65_536;
/**
 * Places in the block. The ids of processes lie where files have no owners (systemd's list of ids
 * leaves 65520 to 65533 unused): they are left out of the user namespace that files are served
 * from, so that nothing in it can become one of those processes' users.
 */
export const PROCESS_IDS = { offset: 65_520, count: 8 } as const;
export const VMM_OFFSET = PROCESS_IDS.offset;
export const KEEPER_OFFSET = PROCESS_IDS.offset + 1;
const NETWORK_HOLDER_OFFSET = PROCESS_IDS.offset + 2;

const PASST_OFFSET = PROCESS_IDS.offset + 3;

/** Of the process that gives a pod its user-mode network; it has no name. */
export function passtIds({ block: { base } }: PodIdentity): { uid: number; gid: number } {
  return { uid: base + PASST_OFFSET, gid: base + PASST_OFFSET };
}

/** Ids as files have them, mapped to those of a block, but for the processes' own. */
export function fileIdMap(base: number): IdMap {
  const end = PROCESS_IDS.offset + PROCESS_IDS.count;
  return [
    [0, base, PROCESS_IDS.offset],
    [end, base + end, ID_BLOCK_SIZE - end],
  ];
}

/** Where the name of a VMM's user is kept. */
export type IdentityBackend = "user-records" | "useradd";

/** The part of the configuration that identities need: the [mukon] table. */
export interface IdentityConfiguration {
  /** First id, inclusive. */
  readonly idRangeStart: number;
  /** Last id, exclusive. */
  readonly idRangeEnd: number;
  readonly userPrefix: string;
  readonly identityBackend: IdentityBackend | "auto";
}

/** Who a pod's processes are; no other pod on this host has any of these ids. */
export interface PodIdentity {
  /** base / 65536 */
  number: number;
  backend: IdentityBackend;
  block: { base: number; size: number };
  vmm: { uid: number; gid: number; name: string };
  /** Has no name. */
  keeper: { uid: number; gid: number };
}

/** The identity that belongs to a block. */
export function identityOf(
  number: number,
  userPrefix: string,
  backend: IdentityBackend,
): PodIdentity {
  const base = number * ID_BLOCK_SIZE;
  const vmm = base + VMM_OFFSET;
  const keeper = base + KEEPER_OFFSET;
  return {
    number,
    backend,
    block: { base, size: ID_BLOCK_SIZE },
    vmm: { uid: vmm, gid: vmm, name: `${userPrefix}${number}` },
    keeper: { uid: keeper, gid: keeper },
  };
}

/** Of the process that keeps a pod's network namespace, where it has one of its own; has no name. */
export function networkHolderIds({ block }: Pick<PodIdentity, "block">): {
  uid: number;
  gid: number;
} {
  const id = block.base + NETWORK_HOLDER_OFFSET;
  return { uid: id, gid: id };
}
