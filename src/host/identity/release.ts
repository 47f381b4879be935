// SPDX-License-Identifier: Apache-2.0
import { killAll } from "../journal/kill.ts";
import { removeName } from "./backend.ts";
import { freeBlock, ownerOfBlock } from "./blocks.ts";
import type { PodIdentity } from "./types.ts";

/**
 * Gives an identity back before its sandbox is torn down; idempotent. Kills every process with an
 * id of the block first: a name cannot be removed, nor an id be used again, while one lives.
 * @throws PROCESS_NOT_KILLED, USER_NOT_REMOVED, USER_DATABASE_LOCKED, USER_DATABASE_READ_ONLY
 */
export async function releaseIdentity(identity: PodIdentity, owner: string): Promise<void> {
  if (ownerOfBlock(identity.number) !== owner) return;
  await killAll({ processes: [], blocks: [identity.number] });
  await removeName({ name: identity.vmm.name, id: identity.vmm.uid }, identity.backend);
  freeBlock(identity.number, owner);
}
