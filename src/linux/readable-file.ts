// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { basename } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import { sealedCopy } from "./memory-file.ts";

const MAX_NAME_LENGTH = 200;
const HINT = "check the paths in [hypervisor.qemu]: mukon config show --origin";

/**
 * Opens a kernel, initrd or image so that a process without rights can open it again through
 * /proc/self/fd, which checks the file's own mode, but not the directories above it. A file of which
 * `isReadable` says that the process may not read it is handed over as a copy in memory that nobody
 * can change; its own mode stays as it is.
 *
 * The descriptor is read-only and the caller's to close.
 * @throws ASSET_INVALID when it is missing or no regular file
 */
export function openReadable(path: string, isReadable: (status: Stats) => boolean): number {
  const fd = openRegular(path);
  try {
    if (isReadable(fstatSync(fd))) return fd;
    const copy = sealedCopy(fd, basename(path).slice(0, MAX_NAME_LENGTH));
    closeSync(fd);
    return copy;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openRegular(path: string): number {
  let fd: number;
  try {
    // Without O_NONBLOCK, a FIFO in its place would hold up the caller.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("ASSET_INVALID", `${path} cannot be opened: ${why}`, {
      hint: HINT,
      cause,
    });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new MukonError("ASSET_INVALID", `${path} is no regular file`, { hint: HINT });
}
