// SPDX-License-Identifier: Apache-2.0
import { mkdirSync } from "node:fs";
import { chmod, chown, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, isSystemError, Status } from "../errors.ts";
import { type MountRequest, mount } from "../native/mount.ts";
import type { Infer } from "../protobuf/field.ts";
import type { Storage } from "../schema/agent.ts";
import { checkGuestPath } from "./paths.ts";
import { isBlockDevice, waitForBlockDevice } from "./pci.ts";
import { isScsiAddress, waitForScsiDevice } from "./scsi.ts";

export type StorageSpec = Infer<typeof Storage>;

/** Makes what the storage asks for at `target`. */
type Driver = (storage: StorageSpec, target: string) => Promise<void>;

const CREATE_DIRECTORY = "io.katacontainers.volume.overlayfs.create_directory=";
/** A file system whose module is still being loaded while the guest starts. */
const MODULE_TIMEOUT_MS = 10_000;
const MODULE_POLL_MS = 20;
const DEVICE_TIMEOUT_MS = 20_000;

const drivers: Readonly<Record<string, Driver>> = {
  blk: mountBlock,
  scsi: mountBlock,
  "virtio-fs": mountVirtioFs,
  ephemeral: mountEphemeral,
  local: makeLocal,
  overlayfs: mountOverlay,
  bind: mountBind,
};

export const STORAGE_DRIVERS: readonly string[] = Object.keys(drivers);

/** @throws AgentError for a driver that is not known, or what the driver says */
export async function mountWithDriver(storage: StorageSpec, target: string): Promise<void> {
  const driver = Object.hasOwn(drivers, storage.driver) ? drivers[storage.driver] : undefined;
  if (driver === undefined) {
    throw new AgentError(
      Status.invalidArgument,
      `storage driver "${storage.driver}" is unknown (known: ${STORAGE_DRIVERS.join(", ")})`,
    );
  }
  await driver(storage, target);
}

/** The kernel says EINVAL for a device that it has not found yet: it was plugged in just now. */
async function mountVirtioFs(storage: StorageSpec, target: string): Promise<void> {
  const deadline = Date.now() + DEVICE_TIMEOUT_MS;
  for (;;) {
    try {
      return await mountStorage({ ...storage, fstype: storage.fstype || "virtiofs" }, target);
    } catch (error) {
      if (!isSystemError(error, "EINVAL") || Date.now() > deadline) throw error;
    }
    await delay(MODULE_POLL_MS);
  }
}

async function mountBlock(storage: StorageSpec, target: string): Promise<void> {
  const source = await blockDeviceOf(storage.source);
  await mountStorage({ ...storage, source }, target);
}

/** A PCI path, a SCSI address, or a device that was there from the beginning. */
export async function blockDeviceOf(source: string): Promise<string> {
  if (isScsiAddress(source)) return waitForScsiDevice(source);
  if (!source.startsWith("/")) return waitForBlockDevice(source);
  if (/^\/dev\/[a-z0-9]+$/.test(source) && isBlockDevice(source)) return source;
  throw new AgentError(Status.notFound, `"${source.slice(0, 64)}" is no block device`);
}

/** `fsgid` is Kata's own: the group that owns the new directory. */
async function mountEphemeral(storage: StorageSpec, target: string): Promise<void> {
  const { group, rest } = splitGroup(storage.options);
  const fstype = storage.fstype || "tmpfs";
  await mountStorage(
    { ...storage, fstype, source: storage.source || fstype, options: rest },
    target,
  );
  if (group !== undefined) await giveToGroup(target, group);
}

async function makeLocal(storage: StorageSpec, target: string): Promise<void> {
  const { group, rest } = splitGroup(storage.options);
  mkdirSync(target, { recursive: true });
  const mode = rest.find((option) => option.startsWith("mode="))?.slice(5);
  if (mode !== undefined) {
    if (!/^[0-7]{1,4}$/.test(mode)) {
      throw new AgentError(Status.invalidArgument, `mode "${mode.slice(0, 20)}" is not octal`);
    }
    await chmod(target, Number.parseInt(mode, 8));
  }
  if (group !== undefined) await giveToGroup(target, group);
}

async function mountOverlay(storage: StorageSpec, target: string): Promise<void> {
  for (const option of storage.driverOptions) {
    if (!option.startsWith(CREATE_DIRECTORY)) continue;
    const directory = checkGuestPath(option.slice(CREATE_DIRECTORY.length), "overlay directory");
    mkdirSync(directory, { recursive: true, mode: 0o755 });
  }
  await mountStorage({ ...storage, source: "overlay", fstype: "overlay" }, target);
}

async function mountBind(storage: StorageSpec, target: string): Promise<void> {
  const source = checkGuestPath(storage.source, "bind source");
  if (!(await stat(source)).isDirectory()) {
    throw new AgentError(Status.invalidArgument, `bind source ${source} is no directory`);
  }
  const options = storage.options.some((option) => option === "bind" || option === "rbind")
    ? storage.options
    : ["bind", ...storage.options];
  await mountStorage({ ...storage, source, fstype: "", options }, target);
}

async function mountStorage(storage: StorageSpec, target: string): Promise<void> {
  const { source, fstype: type, options } = storage;
  mkdirSync(target, { recursive: true });
  await mountWhenKnown({ source, target, type, options });
}

/** The kernel says ENODEV for a file system whose module is not loaded yet. */
async function mountWhenKnown(request: MountRequest): Promise<void> {
  const deadline = Date.now() + MODULE_TIMEOUT_MS;
  for (;;) {
    try {
      return await mount(request);
    } catch (error) {
      if (!isSystemError(error, "ENODEV") || Date.now() > deadline) throw error;
    }
    await delay(MODULE_POLL_MS);
  }
}

function splitGroup(options: readonly string[]): { group: number | undefined; rest: string[] } {
  const text = options.find((option) => option.startsWith("fsgid="))?.slice(6);
  if (text !== undefined && !/^\d{1,10}$/.test(text)) {
    throw new AgentError(Status.invalidArgument, `fsgid "${text.slice(0, 20)}" is no group id`);
  }
  const rest = options.filter((option) => !option.startsWith("fsgid="));
  return { group: text === undefined ? undefined : Number(text), rest };
}

/** New files in the directory get its group. */
async function giveToGroup(directory: string, group: number): Promise<void> {
  await chown(directory, 0, group);
  const { mode } = await stat(directory);
  await chmod(directory, (mode & 0o7777) | 0o2070);
}
