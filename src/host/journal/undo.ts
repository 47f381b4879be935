// SPDX-License-Identifier: Apache-2.0
import { lstatSync, unlinkSync } from "node:fs";
import { listMounts, unmount } from "../../linux/mounts.ts";
import { run } from "../../linux/run.ts";
import { removeCgroup } from "../cgroups/remove.ts";
import { removeName } from "../identity/backend.ts";
import { ownerOfBlock } from "../identity/blocks.ts";
import { ID_BLOCK_SIZE } from "../identity/types.ts";
import { disconnectTap } from "../network/mirror.ts";
import type { JournalEntry } from "./entries.ts";

const REMOVE_TIMEOUT_MS = 60_000;

/**
 * Gives back what one entry names. Idempotent: what is not there, or was never acquired, is fine.
 * Processes are killed before, and blocks freed after, all else (see tearDown).
 */
export async function undoEntry(entry: JournalEntry, key: string): Promise<void> {
  switch (entry.type) {
    case "process":
    case "identity":
      return;
    case "user":
      // Written before the block was taken, perhaps; then the name is another pod's.
      if (ownerOfBlock(Math.floor(entry.uid / ID_BLOCK_SIZE)) !== key) return;
      return await removeName({ name: entry.name, id: entry.uid }, entry.backend);
    case "mount":
      return unmountAll(entry.path);
    case "cgroup":
      return await removeCgroup(entry.path);
    case "directory":
      return await removeDirectory(entry.path);
    case "mirror":
      return await disconnectTap(entry);
    case "file":
    case "socket":
      return removeFile(entry.path);
  }
}

/**
 * Removes a directory with everything in it. Mounts in it are undone first and never entered; links
 * are not followed, also not by an attacker who swaps one in meanwhile (rm works on descriptors).
 */
export async function removeDirectory(path: string): Promise<void> {
  unmountAll(path);
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  await run(["rm", "-r", "-f", "--one-file-system", "--", path], { timeoutMs: REMOVE_TIMEOUT_MS });
}

/** Unmounts what is mounted at or below a path, the last one first. */
function unmountAll(path: string): void {
  const points = listMounts()
    .map(({ mountPoint }) => mountPoint)
    .filter((point) => point === path || point.startsWith(`${path}/`));
  for (const point of points.reverse()) unmountNow(point);
}

function unmountNow(point: string): void {
  try {
    unmount(point);
  } catch {
    // Somebody still uses it: it goes out of sight now, and away with its last user.
    unmount(point, { lazy: true });
  }
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
  }
}
