// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import type { Configuration } from "../config/keys/registry.ts";
import { MukonError } from "../errors/mukon-error.ts";
import type { MethodParams } from "./messages/methods.ts";

/**
 * Opens what is to be a disk: a regular file or a block device. The descriptor can do no more than
 * the disk may, and is the caller's to close.
 * @throws DISK_INVALID
 */
export function openDisk(path: string, options: { readOnly: boolean }): number {
  const mode = options.readOnly ? constants.O_RDONLY : constants.O_RDWR;
  let descriptor: number;
  try {
    // Without O_NONBLOCK, a FIFO in its place would hold up the shim.
    descriptor = openSync(path, mode | constants.O_NONBLOCK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("DISK_INVALID", `The disk ${path} cannot be opened: ${why}`, { cause });
  }
  const status = fstatSync(descriptor);
  if (status.isFile() || status.isBlockDevice()) return descriptor;
  closeSync(descriptor);
  throw new MukonError("DISK_INVALID", `The disk ${path} is neither a file nor a block device.`);
}

/** What disks are to the guest, and how QEMU is to read and write them, by the configuration. */
export function diskSettings(
  settings: Configuration["hypervisor"]["qemu"],
): Pick<MethodParams<"attachDisk">, "driver" | "aio" | "cache"> {
  const { blockDeviceCacheSet, blockDeviceCacheDirect, blockDeviceCacheNoflush } = settings;
  const cache = { direct: blockDeviceCacheDirect, noFlush: blockDeviceCacheNoflush };
  const isScsi = settings.blockDeviceDriver === "virtio-scsi";
  const driver = isScsi ? { driver: "virtio-scsi" as const } : {};
  return { ...driver, aio: settings.blockDeviceAio, ...(blockDeviceCacheSet ? { cache } : {}) };
}
