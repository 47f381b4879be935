// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { withLock } from "../../linux/lock.ts";
import { removeTree } from "../workspace.ts";
import {
  contentDirectory,
  contentsDirectory,
  lockPath,
  locksDirectory,
  referencesDirectory,
  storeLockPath,
  workDirectory,
} from "./paths.ts";
import { type ReferenceRecord, readReferences, writeReference } from "./records.ts";

/** Somebody who was just told the path of a root image has this long to open it. */
const GRACE_MS = 10 * 60_000;
/** A pull may wait for another of the same image, however long that takes. */
const PULL_LOCK_TIMEOUT_MS = 2 * 60 * 60_000;

/** Makes the store's directories; root's alone. */
export function prepareStore(): void {
  const all = [contentsDirectory(), referencesDirectory(), workDirectory(), locksDirectory()];
  for (const directory of all) mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** One process at a time works on a name. */
export function withNameLock<Result>(
  purpose: "reference" | "content",
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  prepareStore();
  return withLock(lockPath(purpose, name), work, { timeoutMs: PULL_LOCK_TIMEOUT_MS });
}

export function withStoreLock<Result>(work: () => Promise<Result> | Result): Promise<Result> {
  prepareStore();
  return withLock(storeLockPath(), work);
}

/**
 * Makes a finished directory the content of an image, all of it at one moment, and points the
 * reference at it. Without a directory the content must be there already: false when it is not
 * (somebody removed it meanwhile), and then nothing was done.
 */
export async function publish(record: ReferenceRecord, directory?: string): Promise<boolean> {
  if (directory !== undefined) {
    for (const name of readdirSync(directory)) syncToDisk(join(directory, name));
  }
  return withStoreLock(async () => {
    const target = contentDirectory(record.imageId);
    if (directory !== undefined && !existsSync(target)) {
      renameSync(directory, target);
      syncToDisk(contentsDirectory());
    }
    if (!existsSync(target)) return false;
    markUsed(record.imageId);
    writeReference(record);
    await sweepContents(new Set());
    return true;
  });
}

/** Keeps content from being swept for a while. */
export function markUsed(imageId: string): void {
  const now = new Date();
  if (existsSync(contentDirectory(imageId))) utimesSync(contentDirectory(imageId), now, now);
}

/**
 * Removes content that no reference names: that of the given ids at once, other content when it
 * has not been used for a while. The caller holds the store's lock.
 */
export async function sweepContents(atOnce: ReadonlySet<string>): Promise<void> {
  const used = new Set(readReferences().map((record) => contentDirectory(record.imageId)));
  const unwanted = new Set([...atOnce].map(contentDirectory));
  for (const name of readdirSync(contentsDirectory())) {
    const path = join(contentsDirectory(), name);
    const isRecent = Date.now() - statSync(path).mtimeMs < GRACE_MS;
    if (used.has(path) || (isRecent && !unwanted.has(path))) continue;
    await removeTree(path);
  }
}

/** What was renamed before it reached the disk could be empty after a power failure. */
function syncToDisk(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
