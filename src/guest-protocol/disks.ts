// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import {
  type Device,
  DeviceSchema,
  type Storage,
  StorageSchema,
} from "../generated/agent/agent_pb.ts";

const VOLUMES = "/run/kata-containers/virtual-volumes";

/** A disk of the guest that a container is to have. */
export interface DiskVolume {
  /** PCI path such as `0a/00`, or SCSI address such as `0:1`. */
  readonly source: string;
  /** In the container: of its node, or of the directory where it is mounted. */
  readonly destination: string;
  readonly readOnly: boolean;
  /** Where it is to be mounted. */
  readonly fileSystem?: "ext4" | "erofs" | undefined;
}

/** Kata's name of the kind of disk that is found so. */
function kindOf(source: string): "scsi" | "blk" {
  return source.includes(":") ? "scsi" : "blk";
}

/** Where in the guest what is on this disk is mounted. */
export function diskMountPath(source: string): string {
  return `${VOLUMES}/${Buffer.from(source).toString("base64url")}`;
}

/** Has the agent mount what is on a disk; `mountPoint` is {@link diskMountPath} by default. */
export function diskStorage(disk: {
  source: string;
  fileSystem: "ext4" | "erofs";
  readOnly: boolean;
  mountPoint?: string;
}): Storage {
  return create(StorageSchema, {
    driver: kindOf(disk.source),
    source: disk.source,
    fstype: disk.fileSystem,
    options: disk.readOnly ? ["ro"] : [],
    mountPoint: disk.mountPoint ?? diskMountPath(disk.source),
  });
}

/** What CreateContainerRequest needs for the container's disks. */
export function diskParts(disks: readonly DiskVolume[]): {
  storages: Storage[];
  devices: Device[];
  /** By destination: where the mounts of the spec have their source. */
  guestSources: [string, string][];
} {
  const storages: Storage[] = [];
  const devices: Device[] = [];
  const guestSources: [string, string][] = [];
  for (const { source, destination, readOnly, fileSystem } of disks) {
    if (fileSystem === undefined) {
      const type = kindOf(source);
      devices.push(create(DeviceSchema, { id: source, type, containerPath: destination }));
      continue;
    }
    storages.push(diskStorage({ source, fileSystem, readOnly }));
    guestSources.push([destination, diskMountPath(source)]);
  }
  return { storages, devices, guestSources };
}
