// SPDX-License-Identifier: Apache-2.0
import { chmod, lchown, lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Infer } from "../protobuf/field.ts";
import type { FsGroup } from "../schema/agent.ts";

const SET_GROUP_ID = 0o2000;
const GROUP_READ_WRITE = 0o060;
const GROUP_SEARCH = 0o010;
/** types.FSGroupChangePolicy.OnRootMismatch */
const ON_ROOT_MISMATCH = 1;

/** Gives a volume to a group, as Kubernetes' fsGroup asks; links are never followed. */
export async function applyFsGroup(
  directory: string,
  fsGroup: Infer<typeof FsGroup>,
): Promise<void> {
  const root = await lstat(directory);
  const isRight = root.gid === fsGroup.groupId && (root.mode & SET_GROUP_ID) !== 0;
  if (fsGroup.groupChangePolicy === ON_ROOT_MISMATCH && isRight) return;
  await giveTree(directory, fsGroup.groupId);
}

async function giveTree(path: string, group: number): Promise<void> {
  const status = await lstat(path);
  await lchown(path, status.uid, group);
  if (status.isSymbolicLink()) return;
  const extra = status.isDirectory() ? SET_GROUP_ID | GROUP_SEARCH : 0;
  await chmod(path, (status.mode & 0o7777) | GROUP_READ_WRITE | extra);
  if (!status.isDirectory()) return;
  for (const name of await readdir(path)) await giveTree(join(path, name), group);
}
