// SPDX-License-Identifier: Apache-2.0
import type { Stats } from "node:fs";
import { openReadable } from "../linux/readable-file.ts";

const OTHERS_READ = 0o004;
const GROUP_READ = 0o040;

/**
 * Opens a kernel, initrd or image for a VMM whose group is `gid`, see {@link openReadable}.
 * @throws ASSET_INVALID when it is missing or no regular file
 */
export function openForVmm(path: string, options: { gid: number }): number {
  return openReadable(path, (status) => isReadable(status, options.gid));
}

function isReadable({ mode, gid }: Stats, wanted: number): boolean {
  // The class of the group decides alone for its members, even when all others may read.
  return gid === wanted ? (mode & GROUP_READ) !== 0 : (mode & OTHERS_READ) !== 0;
}
