// SPDX-License-Identifier: Apache-2.0
import { createHash, type Hash } from "node:crypto";
import { type BigIntStats, lstatSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * A text that changes when the file does: any write moves its change time. Undefined when there is
 * no such file.
 */
export function stampOfFile(path: string): string | undefined {
  try {
    return factsOf(statSync(path, { bigint: true }));
  } catch {
    return undefined;
  }
}

/** The same for all of a directory: names, kinds, owners, sizes and times, not the content. */
export function stampOfTree(directory: string): string {
  const hash = createHash("sha256");
  addTree(hash, directory, "");
  return hash.digest("hex");
}

function addTree(hash: Hash, path: string, name: string): void {
  const stat = lstatSync(path, { bigint: true });
  hash.update(`${name}\0${factsOf(stat)}\0`);
  if (stat.isSymbolicLink()) hash.update(readlinkSync(path, "buffer"));
  if (!stat.isDirectory()) return;
  const names = readdirSync(path).sort();
  for (const child of names) addTree(hash, join(path, child), child);
  hash.update("/\0");
}

function factsOf(stat: BigIntStats): string {
  const { dev, ino, mode, uid, gid, size, mtimeNs, ctimeNs } = stat;
  return [dev, ino, mode, uid, gid, size, mtimeNs, ctimeNs].join(":");
}
