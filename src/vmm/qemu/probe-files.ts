// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { basename } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { sealedCopy } from "../../linux/memory-file.ts";

const GROUP_AND_OTHERS_READ = 0o044;
const MAX_NAME_LENGTH = 200;

/**
 * Opens a file so that the probe's user, who has no rights, can open it again through
 * /proc/self/fd. One that only root may read is handed over as a sealed copy, as it is to a pod's
 * VMM: without that the probe would fail where the pod would not. The descriptor is the caller's
 * to close. Errors: `ASSET_INVALID` when it cannot be opened.
 */
export function openForProbe(path: string): number {
  const fd = openReadOnly(path);
  try {
    const { mode } = fstatSync(fd);
    if ((mode & GROUP_AND_OTHERS_READ) === GROUP_AND_OTHERS_READ) return fd;
    const copy = sealedCopy(fd, basename(path).slice(0, MAX_NAME_LENGTH));
    closeSync(fd);
    return copy;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openReadOnly(path: string): number {
  try {
    // Without O_NONBLOCK, a FIFO in its place would hold up the probe.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("ASSET_INVALID", `${path} cannot be opened: ${why}`, {
      hint: "check the paths in [hypervisor.qemu]: mukon config show --origin",
      cause,
    });
  }
}
