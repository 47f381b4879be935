// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, isSystemError, Status } from "../errors.ts";

const ROOT_BUS = "/sys/devices/pci0000:00";
const POLL_MS = 10;
const RESCAN_AFTER_MS = 1000;
/** Then it is taken for what it is. */
const EMPTY_AFTER_MS = 3000;
const VIRTIO_DISKS = "/sys/bus/virtio/drivers/virtio_blk";
const TIMEOUT_MS = 20_000;
const PATH_PATTERN = /^[0-9a-f]{2}(?:\.[0-7])?(?:\/[0-9a-f]{2}(?:\.[0-7])?){0,4}$/;

/**
 * Directory of a device by its PCI path: slots in hexadecimal from the root bus on, such as
 * `0a/00` for the device behind the root port in slot 0a.
 * @returns `undefined` while one of them is not there
 */
export function findPciDevice(pciPath: string, rootBus = ROOT_BUS): string | undefined {
  if (!PATH_PATTERN.test(pciPath)) {
    throw new AgentError(Status.invalidArgument, `"${pciPath.slice(0, 64)}" is no PCI path`);
  }
  let directory: string | undefined = rootBus;
  for (const part of pciPath.split("/")) {
    const suffix = `:${part.includes(".") ? part : `${part}.0`}`;
    directory = childOf(directory, (name) => /^[0-9a-f]{4}:/.test(name) && name.endsWith(suffix));
    if (directory === undefined) return undefined;
  }
  return directory;
}

/** Name of the block device (`vdb`) that a PCI device carries, once its driver has made it. */
export function blockNameOf(deviceDirectory: string): string | undefined {
  return virtioDiskOf(deviceDirectory) ?? nvmeDiskOf(deviceDirectory);
}

function nvmeDiskOf(deviceDirectory: string): string | undefined {
  const controller = childOf(join(deviceDirectory, "nvme"), (name) => /^nvme\d+$/.test(name));
  const disk = controller && childOf(controller, (name) => /^nvme\d+n\d+$/.test(name));
  return disk?.split("/").at(-1);
}

function virtioDiskOf(deviceDirectory: string): string | undefined {
  const virtio = childOf(deviceDirectory, (name) => /^virtio\d+$/.test(name));
  const block = virtio && childOf(virtio, (name) => name === "block");
  const disk = block && childOf(block, () => true);
  return disk?.split("/").at(-1);
}

/** Waits for the block device behind the PCI path; it may have been plugged in just now. */
export async function waitForBlockDevice(pciPath: string): Promise<string> {
  const start = Date.now();
  let isRescanned = false;
  for (;;) {
    const device = findPciDevice(pciPath);
    const name = device && blockNameOf(device);
    const waitedMs = Date.now() - start;
    const isThere = name !== undefined && isBlockDevice(`/dev/${name}`);
    if (isThere && (!isEmpty(name) || waitedMs > EMPTY_AFTER_MS)) return `/dev/${name}`;
    if (waitedMs > TIMEOUT_MS) {
      throw new AgentError(
        Status.notFound,
        `no block device appeared at PCI path ${pciPath} within ${TIMEOUT_MS / 1000} s`,
      );
    }
    if (!isRescanned && waitedMs > RESCAN_AFTER_MS) {
      isRescanned = true;
      if (isThere) bindAgain(device);
      else rescan(pciPath);
    }
    await delay(POLL_MS);
  }
}

/** A disk may have been put where there was none, and the kernel not heard of it yet. */
function isEmpty(name: string): boolean {
  return readFileSync(`/sys/class/block/${name}/size`, "utf8").trim() === "0";
}

/** Has the driver look at its device as if that were new: its word that it has changed was missed. */
function bindAgain(device: string | undefined): void {
  const name = device && readdirSync(device).find((one) => /^virtio\d+$/.test(one));
  if (name === undefined) return;
  for (const action of ["unbind", "bind"]) writeFileSync(join(VIRTIO_DISKS, action), name);
}

/** Whether it can be used: the node of a new one is there a moment before the device behind it. */
export function isBlockDevice(path: string): boolean {
  try {
    if (!statSync(path).isBlockDevice()) return false;
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    return true;
  } catch (error) {
    return !isSystemError(error, "ENOENT") && !isSystemError(error, "ENXIO");
  }
}

/** Once, and only below the port in question: a hot-plug event may have been missed. */
function rescan(pciPath: string): void {
  const port = findPciDevice(pciPath.split("/")[0] ?? "");
  if (port !== undefined) writeFileSync(join(port, "rescan"), "1");
}

function childOf(directory: string, matches: (name: string) => boolean): string | undefined {
  try {
    const name = readdirSync(directory).find(matches);
    return name === undefined ? undefined : join(directory, name);
  } catch {
    return undefined;
  }
}
