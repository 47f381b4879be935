// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** The content, or undefined when there is no such file. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Replaces a file at once, or not at all; mode and owner of the one that was there stay. */
export function replaceFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const before = statSync(path, { throwIfNoEntry: false });
  const temporary = `${path}.mukon-new`;
  writeFileSync(temporary, content, { mode: 0o644 });
  chmodSync(temporary, before === undefined ? 0o644 : before.mode & 0o7777);
  if (before !== undefined) chownSync(temporary, before.uid, before.gid);
  flush(temporary);
  renameSync(temporary, path);
}

/** Makes, or replaces at once, a symbolic link. */
export function replaceLink(path: string, target: string): void {
  const temporary = `${path}.mukon-new`;
  rmSync(temporary, { force: true });
  symlinkSync(target, temporary);
  renameSync(temporary, path);
}

/** What a link holds; undefined when there is none, or something else. */
export function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Copies a directory so that it is there whole or not at all; one that is there already stays. */
export function copyDirectory(source: string, target: string, mode: number): boolean {
  if (statSync(target, { throwIfNoEntry: false })?.isDirectory() === true) return false;
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  copyInto(source, partial, mode);
  renameSync(partial, target);
  return true;
}

function copyInto(source: string, target: string, mode: number): void {
  mkdirSync(target, { recursive: true, mode });
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const from = join(source, entry.name);
    const to = join(target, entry.name);
    if (entry.isDirectory()) copyInto(from, to, mode);
    else if (entry.isFile()) {
      copyFileSync(from, to);
      chmodSync(to, statSync(from).mode & 0o755);
      flush(to);
    }
  }
}

function flush(path: string): void {
  const descriptor = openSync(path, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
