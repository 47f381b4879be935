// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";

const SECTOR_BYTES = 512;

/** The two halves of a device number, as in `/dev/sda` = 8, 0. */
export interface DeviceNumbers {
  major: number;
  minor: number;
}

/**
 * The host's own node of a block device. Its name comes from the kernel (`DEVNAME` of
 * /sys/dev/block/<major>:<minor>/uevent, see kernel doc "ABI/stable/sysfs-dev").
 * @throws DISK_INVALID when there is no such device, or its node is another one's
 */
export function blockDevicePath(numbers: DeviceNumbers): string {
  const { major, minor } = numbers;
  const name = /^DEVNAME=(.+)$/m.exec(readSysfs(numbers, "uevent") ?? "")?.[1];
  if (name === undefined) {
    throw new MukonError("DISK_INVALID", `This host has no block device ${major}:${minor}.`, {
      hint: "the device has gone since the container's specification was written; make it anew",
    });
  }
  const path = join("/dev", name);
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isBlockDevice() && isSameDevice(numbersOf(status.rdev), numbers)) return path;
  throw new MukonError(
    "DISK_INVALID",
    `${path} is not the node of block device ${major}:${minor}.`,
  );
}

/** As glibc packs a device number into 64 bits (gnu_dev_major, gnu_dev_minor). */
export function numbersOf(packed: number): DeviceNumbers {
  const value = BigInt(packed);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffffff00n)),
  };
}

/** Bytes that a disk holds now, file or device; undefined: it has gone, or is something else. */
export function diskSizeBytes(path: string): number | undefined {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isFile()) return status.size;
  if (!status?.isBlockDevice()) return undefined;
  const sectors = Number(readSysfs(numbersOf(status.rdev), "size")?.trim() || Number.NaN);
  return Number.isSafeInteger(sectors) ? sectors * SECTOR_BYTES : undefined;
}

/**
 * Refuses to write to a device that this host uses itself: a mounted file system would be destroyed.
 * For a block device, O_EXCL without O_CREAT asks the kernel just that (open(2)). A seat belt, not a
 * wall: somebody may mount it a moment later.
 * @throws DISK_IN_USE
 */
export function checkUnused(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isBlockDevice()) return;
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL | constants.O_NONBLOCK));
  } catch (cause) {
    if (!(cause instanceof Error && "code" in cause && cause.code === "EBUSY")) return;
    throw new MukonError("DISK_IN_USE", `The disk ${path} is in use on this host.`, {
      hint: "it is mounted, or part of a volume group or RAID: unmount it, or give it read-only",
      cause,
    });
  }
}

function readSysfs({ major, minor }: DeviceNumbers, file: string): string | undefined {
  try {
    return readFileSync(`/sys/dev/block/${major}:${minor}/${file}`, "utf8");
  } catch {
    return undefined;
  }
}

function isSameDevice(one: DeviceNumbers, other: DeviceNumbers): boolean {
  return one.major === other.major && one.minor === other.minor;
}
