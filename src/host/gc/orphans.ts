// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { identitiesDirectory, sandboxDirectory } from "../../linux/paths.ts";
import {
  type Account,
  blockOfAccount,
  blockOfGroup,
  readGroups,
  readUserRecords,
  readUsers,
} from "../identity/accounts.ts";
import { removeName } from "../identity/backend.ts";
import { blockTakenAtMs, claimBlock, freeBlock, listBlocks } from "../identity/blocks.ts";
import { type IdentityBackend, identityOf } from "../identity/types.ts";
import { killAll } from "../journal/kill.ts";
import { removeDirectory } from "../journal/undo.ts";
import { ensureRootOnlyDirectory } from "../run-directories.ts";
import { runtimeDirectoryOf } from "../runtime-dir/runtime-dir.ts";
import { type GarbageOptions, removeEach } from "./options.ts";

/** Not the name of any sandbox: keys do not begin with a dot. */
const COLLECTOR = ".gc";

interface OrphanUser extends Account {
  number: number;
  backend: IdentityBackend;
}

/** Removes users of ours whose block nobody has: after a reboot, all that useradd has made. */
export async function collectUsers(options: GarbageOptions): Promise<string[]> {
  return await removeEach(
    [...usersOf("useradd", readUsers()), ...usersOf("user-records", readUserRecords())],
    {
      describe: ({ name }) => `user ${name}`,
      remove: removeOrphanUser,
      options,
    },
  );
}

/** Removes groups of ours without a user: the machine went down between groupadd and useradd. */
export async function collectGroups(options: GarbageOptions): Promise<string[]> {
  const named = new Set(readUsers().map(({ name }) => name));
  const groups = readGroups().flatMap((group): OrphanUser[] => {
    const number = named.has(group.name) ? undefined : blockOfGroup(group);
    return number === undefined ? [] : [{ ...group, number, backend: "useradd" }];
  });
  return await removeEach(groups, {
    describe: ({ name }) => `group ${name}`,
    remove: removeOrphanUser,
    options,
  });
}

function usersOf(backend: IdentityBackend, accounts: readonly Account[]): OrphanUser[] {
  return accounts.flatMap((account) => {
    const number = blockOfAccount(account);
    return number === undefined ? [] : [{ ...account, number, backend }];
  });
}

/** Blocks are taken before users are made: a block that can be had means that no pod has it. */
async function removeOrphanUser(user: OrphanUser): Promise<boolean> {
  ensureRootOnlyDirectory(identitiesDirectory());
  if (!claimBlock(user.number, COLLECTOR)) return false;
  try {
    await killAll({ processes: [], blocks: [user.number] });
    await removeName({ name: user.name, id: user.id }, user.backend);
    await removeDirectory(runtimeDirectoryOf(user.id));
    return true;
  } finally {
    freeBlock(user.number, COLLECTOR);
  }
}

/** Frees blocks whose sandbox is gone, with the processes and the directory that use their ids. */
export async function collectBlocks(options: GarbageOptions): Promise<string[]> {
  const orphans = listBlocks().filter(({ number, owner }) => {
    const takenAt = blockTakenAtMs(number) ?? options.now;
    return !existsSync(sandboxDirectory(owner)) && options.now - takenAt >= options.minimumAgeMs;
  });
  return await removeEach(orphans, {
    describe: ({ number, owner }) => `ids of block ${number} (sandbox ${owner})`,
    remove: async ({ number, owner }) => {
      await killAll({ processes: [], blocks: [number] });
      await removeDirectory(runtimeDirectoryOf(identityOf(number, "", "useradd").vmm.uid));
      await removeNamesOf(number);
      return freeBlock(number, owner);
    },
    options,
  });
}

async function removeNamesOf(number: number): Promise<void> {
  for (const user of readUsers()) {
    if (blockOfAccount(user) === number) await removeName(user, "useradd");
  }
  for (const user of readUserRecords()) {
    if (blockOfAccount(user) === number) await removeName(user, "user-records");
  }
}
