// SPDX-License-Identifier: Apache-2.0
import { create } from "@bufbuild/protobuf";
import { MukonError } from "../errors/mukon-error.ts";
import { type Storage, StorageSchema } from "../generated/agent/agent_pb.ts";
import { checkedContainerId } from "./container-id.ts";
import { diskStorage } from "./disks.ts";

/** A disk as the guest sees it. */
export interface GuestDisk {
  /** PCI path such as `0a/00`, or SCSI address such as `0:1`. */
  readonly source: string;
}

export interface RootfsRequest {
  readonly containerId: string;
  /** EROFS images, the bottom layer first. */
  readonly layers: readonly GuestDisk[];
  /** An ext4 disk that takes what the container writes; without it, memory of the guest does. */
  readonly scratch?: GuestDisk | undefined;
}

export interface RootfsStorages {
  /** For CreateContainerRequest, in the order in which the agent must mount them. */
  readonly storages: Storage[];
  /** For the spec's Root.Path. */
  readonly rootPath: string;
}

/** What overlayfs takes in one mount of a page of options, and PCI ports at hand, with room. */
const MAX_LAYERS = 32;
const PLACE_OF_DISK = /^([0-9a-f]{2}(\/[0-9a-f]{2})*|\d{1,3}:\d{1,3})$/;
const CREATE_DIRECTORY = "io.katacontainers.volume.overlayfs.create_directory";

/**
 * Storages that make a container's root file system out of its layers, in the way Kata does with
 * containerd's EROFS snapshotter: each layer mounted on its own, and overlayfs over them. It stays
 * writable even for a read-only container, as mount points must be made in it; the agent makes the
 * container's view read-only.
 *
 * @throws MukonError ROOTFS_LAYERS_INVALID, CONTAINER_ID_INVALID
 */
export function rootfsStorages(request: RootfsRequest): RootfsStorages {
  const id = checkedContainerId(request.containerId);
  checkDisks(request);
  const rootPath = rootPathOf(id);
  const layers = request.layers.map(({ source }) =>
    diskStorage({ source, fileSystem: "erofs", readOnly: true }),
  );
  const upper =
    request.scratch === undefined
      ? memoryStorage(id)
      : diskStorage({ source: request.scratch.source, fileSystem: "ext4", readOnly: false });
  const upperPath = `${upper.mountPoint}/upper`;
  const workPath = `${upper.mountPoint}/work`;
  const lowerPaths = layers.map(({ mountPoint }) => mountPoint).reverse();
  const overlay = create(StorageSchema, {
    driver: "overlayfs",
    source: "overlay",
    fstype: "overlay",
    mountPoint: rootPath,
    driverOptions: [`${CREATE_DIRECTORY}=${upperPath}`, `${CREATE_DIRECTORY}=${workPath}`],
    options: [`lowerdir=${lowerPaths.join(":")}`, `upperdir=${upperPath}`, `workdir=${workPath}`],
  });
  return { storages: [...layers, upper, overlay], rootPath };
}

/** A disk that is the root file system by itself, as devmapper's snapshots are. */
export function rootDiskStorages(request: {
  containerId: string;
  disk: GuestDisk & { readOnly: boolean };
}): RootfsStorages {
  const rootPath = rootPathOf(checkedContainerId(request.containerId));
  const { source, readOnly } = request.disk;
  const disk = { source, readOnly, fileSystem: "ext4", mountPoint: rootPath } as const;
  return { storages: [diskStorage(disk)], rootPath };
}

function rootPathOf(containerId: string): string {
  return `/run/kata-containers/${containerId}/rootfs`;
}

function checkDisks({ layers, scratch }: RootfsRequest): void {
  if (layers.length === 0 || layers.length > MAX_LAYERS) {
    throw invalid(`there are ${layers.length} of them, but 1 to ${MAX_LAYERS} are possible`);
  }
  const sources = [...layers, ...(scratch === undefined ? [] : [scratch])].map(
    (disk) => disk.source,
  );
  const wrong = sources.find((source) => !PLACE_OF_DISK.test(source));
  if (wrong !== undefined) {
    throw invalid(`${JSON.stringify(wrong.slice(0, 64))} is no PCI path and no SCSI address`);
  }
  if (new Set(sources).size !== sources.length) throw invalid("one disk stands for two of them");
}

function invalid(reason: string): MukonError {
  return new MukonError(
    "ROOTFS_LAYERS_INVALID",
    `The layers of the container cannot be put together: ${reason}.`,
  );
}

/** A file system of its own, so that a container that fills it does not fill the agent's /run. */
function memoryStorage(containerId: string): Storage {
  return create(StorageSchema, {
    driver: "ephemeral",
    source: "tmpfs",
    fstype: "tmpfs",
    options: ["mode=0755"],
    mountPoint: `/run/kata-containers/sandbox/ephemeral/${containerId}-rootfs`,
  });
}
