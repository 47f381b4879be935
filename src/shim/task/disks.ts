// SPDX-License-Identifier: Apache-2.0
import { type Stats, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { isBind } from "../../guest-protocol/agent-mounts.ts";
import { FILE_IS_DISK } from "../../guest-protocol/oci/file-is-disk.ts";
import type { OciDevice, OciResources } from "../../guest-protocol/oci/resources.ts";
import type { OciMount, OciSpec } from "../../guest-protocol/oci-spec.ts";
import { blockDevicePath, checkUnused, numbersOf } from "../../host/block-device.ts";

/** File systems on disks that the guest's kernel can mount. */
const FILE_SYSTEMS = ["ext4", "erofs"] as const;
/** Others that a client may ask for, and gets an answer about. */
const OTHER_FILE_SYSTEMS = ["ext2", "ext3", "xfs", "btrfs", "vfat", "iso9660", "squashfs", "ntfs"];

export type DiskFileSystem = (typeof FILE_SYSTEMS)[number];

/** A disk image or block device of the host's that the container is to have. */
export interface WantedDisk {
  /** On the host. */
  path: string;
  /** In the container: of the device node, or of the directory where it is mounted. */
  destination: string;
  readOnly: boolean;
  /** What is on it, where it is to be mounted; none: the container gets the device itself. */
  fileSystem?: DiskFileSystem;
}

export interface DiskPlan {
  disks: WantedDisk[];
  /** What is left to be planned: bind mounts of disks have become devices. */
  spec: OciSpec;
}

/**
 * Finds the disks in a spec: devices of type "b" that a rule of their own lets the container use,
 * bind mounts of a device's node (or, with {@link FILE_IS_DISK}, of an image), and mounts of a file
 * system that lies on a disk or in an image. Devices that came in by a wildcard ("privileged") stay
 * the host's: whoever means one names it.
 * @throws DISK_INVALID, DISK_IN_USE, VOLUME_UNSUPPORTED
 */
export function planDisks(spec: OciSpec): DiskPlan {
  const disks: WantedDisk[] = [];
  const mounts: OciMount[] = [];
  const devices = [...(spec.linux?.devices ?? [])];
  for (const device of devices) {
    const disk = diskOfDevice(device, spec.linux?.resources?.devices ?? []);
    if (disk !== undefined) disks.push(disk);
  }
  for (const mount of spec.mounts ?? []) {
    const status = statusOfSource(mount);
    if (status !== undefined && isDiskItself(mount, status)) {
      disks.push(diskOfMount(mount));
      devices.push(deviceOfMount(mount, status));
      continue;
    }
    mounts.push(mount);
    const fileSystem = fileSystemOf(mount);
    if (fileSystem !== undefined) disks.push({ ...diskOfMount(mount), fileSystem });
  }
  for (const { path, readOnly } of disks) if (!readOnly) checkUnused(path);
  const linux = devices.length === 0 ? spec.linux : { ...spec.linux, devices };
  return { disks, spec: { ...spec, ...(spec.mounts && { mounts }), ...(linux && { linux }) } };
}

type DeviceRules = NonNullable<OciResources["devices"]>;

function diskOfDevice(device: OciDevice, rules: DeviceRules): WantedDisk | undefined {
  if (device.type !== "b") return undefined;
  const numbers = { major: Number(device.major ?? 0), minor: Number(device.minor ?? 0) };
  const own = rules.filter(
    ({ allow, major, minor }) =>
      allow && Number(major ?? -1) === numbers.major && Number(minor ?? -1) === numbers.minor,
  );
  if (own.length === 0) return undefined;
  const readOnly = !own.some(({ access = "rwm" }) => access.includes("w"));
  return { path: blockDevicePath(numbers), destination: device.path, readOnly };
}

function statusOfSource({ source = "" }: OciMount): Stats | undefined {
  return isAbsolute(source) ? statSync(source, { throwIfNoEntry: false }) : undefined;
}

function isDiskItself(mount: OciMount, status: Stats): boolean {
  if (!isBind(mount)) return false;
  return (
    status.isBlockDevice() || (status.isFile() && mount.options?.includes(FILE_IS_DISK) === true)
  );
}

function diskOfMount({ source = "", destination, options = [], type }: OciMount): WantedDisk {
  return { path: source, destination, readOnly: options.includes("ro") || type === "erofs" };
}

function deviceOfMount({ destination }: OciMount, status: Stats): OciDevice {
  const { major, minor } = numbersOf(status.isBlockDevice() ? status.rdev : 0);
  const { uid, gid } = status;
  return { path: destination, type: "b", major, minor, fileMode: status.mode & 0o777, uid, gid };
}

function fileSystemOf(mount: OciMount): DiskFileSystem | undefined {
  const { type = "", source = "", destination } = mount;
  const known = FILE_SYSTEMS.find((name) => name === type);
  if (isBind(mount) || (known === undefined && !OTHER_FILE_SYSTEMS.includes(type)))
    return undefined;
  const status = statusOfSource(mount);
  const isDisk = status !== undefined && (status.isFile() || status.isBlockDevice());
  if (known !== undefined && isDisk) return known;
  const why = isDisk
    ? `which the guest's kernel does not know (it knows ${FILE_SYSTEMS.join(" and ")})`
    : "but that is neither a disk image nor a block device of this host";
  throw new MukonError(
    "VOLUME_UNSUPPORTED",
    `the container wants the ${type} file system of ${source} on ${destination}, ${why}`,
    { hint: "name an image or a block device, or give the device itself to the container" },
  );
}
