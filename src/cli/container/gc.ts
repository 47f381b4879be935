// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { bundlePaths, namesDirectory } from "./paths.ts";
import { readRecord } from "./record.ts";
import { removeBundleAndShim } from "./remove.ts";
import { containerState } from "./state.ts";
import { containerIds } from "./store.ts";

/** Younger ones may be on their way: between making its bundle and its shim, a run takes a moment. */
const MINIMUM_AGE_MS = 10_000;

/**
 * Removes bundles that no program will come back to: damaged ones, and those of `--rm` containers
 * that have ended. Returns what was removed, for people.
 */
export async function collectBundles(now = Date.now()): Promise<string[]> {
  const removed: string[] = [];
  for (const id of containerIds()) {
    if (isYoung(bundlePaths(id).directory, now)) continue;
    if (!(await isAbandoned(id))) continue;
    await removeBundleAndShim(id, undefined);
    removed.push(`bundle ${id}`);
  }
  return [...removed, ...dropOrphanNames(now)];
}

async function isAbandoned(id: string): Promise<boolean> {
  try {
    const record = readRecord(id);
    const { status } = await containerState(id);
    const isOver = status === "exited" || status === "starting";
    return record.removeAtExit && isOver;
  } catch {
    return true;
  }
}

function dropOrphanNames(now: number): string[] {
  const ids = new Set(containerIds());
  const removed: string[] = [];
  for (const name of namesIn(namesDirectory())) {
    const file = join(namesDirectory(), name);
    if (isYoung(file, now)) continue;
    if (isOwned(file, ids)) continue;
    rmSync(file, { force: true });
    removed.push(`name ${name}`);
  }
  return removed;
}

function isOwned(file: string, ids: ReadonlySet<string>): boolean {
  try {
    return ids.has(readFileSync(file, "utf8"));
  } catch {
    return false;
  }
}

function isYoung(path: string, now: number): boolean {
  try {
    return now - statSync(path).mtimeMs < MINIMUM_AGE_MS;
  } catch {
    return true;
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
