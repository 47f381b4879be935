// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { runRoot } from "../linux/paths.ts";

const SEARCHABLE = 0o001;

/**
 * The run root: others may pass through it (to published programs), but not list it. Everything
 * else below is for root alone.
 */
export function ensureRunRoot(): string {
  const root = runRoot();
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const mode = statSync(root).mode & 0o7777;
  if ((mode & SEARCHABLE) === 0) chmodSync(root, mode | SEARCHABLE);
  return root;
}

/** Makes a directory below the run root for root alone; there already is fine. */
export function ensureRootOnlyDirectory(path: string): string {
  ensureRunRoot();
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** A lock file of the run root; locks stay until the next boot. */
export function runLock(name: string): string {
  return join(ensureRunRoot(), `${name}.lock`);
}
