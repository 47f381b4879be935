// SPDX-License-Identifier: Apache-2.0

/** Host ids of one pod: as many as an ordinary container's user namespace has. */
export const ID_BLOCK_SIZE = 65_536;
/** Places in the block. Id 0 of it is left to the root of a user namespace. */
export const VMM_OFFSET = 1;
export const KEEPER_OFFSET = 2;

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
