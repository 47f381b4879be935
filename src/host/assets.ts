// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { basename } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import { sealedCopy } from "../linux/memory-file.ts";

const OTHERS_READ = 0o004;
const GROUP_READ = 0o040;
const MAX_NAME_LENGTH = 200;

/**
 * Opens a kernel, initrd or image so that the VMM can open it again through /proc/self/fd, which
 * checks the file's own mode, but not the directories above it. A file that the VMM's group may not
 * read is handed over as a copy in memory that nobody can change; its own mode stays as it is.
 *
 * The descriptor is read-only and the caller's to close.
 * @throws ASSET_INVALID when it is missing or no regular file
 */
export function openForVmm(path: string, options: { gid: number }): number {
  const fd = openRegular(path);
  try {
    if (isReadable(fstatSync(fd), options.gid)) return fd;
    const copy = sealedCopy(fd, basename(path).slice(0, MAX_NAME_LENGTH));
    closeSync(fd);
    return copy;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isReadable({ mode, gid }: Stats, wanted: number): boolean {
  // The class of the group decides alone for its members, even when all others may read.
  return gid === wanted ? (mode & GROUP_READ) !== 0 : (mode & OTHERS_READ) !== 0;
}

function openRegular(path: string): number {
  let fd: number;
  try {
    // Without O_NONBLOCK, a FIFO in its place would hold up the shim.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("ASSET_INVALID", `${path} cannot be opened: ${why}`, {
      hint: "check the paths in [hypervisor.qemu]: mukon config show --origin",
      cause,
    });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new MukonError("ASSET_INVALID", `${path} is no regular file`, {
    hint: "check the paths in [hypervisor.qemu]: mukon config show --origin",
  });
}
