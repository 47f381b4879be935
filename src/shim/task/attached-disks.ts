// SPDX-License-Identifier: Apache-2.0
import { diskSizeBytes } from "../../host/block-device.ts";
import type { Logger } from "../../logging/logger.ts";
import type { PodDisk } from "../../sandbox/pod.ts";
import type { DiskFileSystem, WantedDisk } from "./disks.ts";
import type { Rootfs } from "./rootfs.ts";
import type { TaskPod } from "./task-pod.ts";

/** How soon the guest learns that a disk has grown. */
const SIZE_CHECK_MS = 2_000;

/** For the keeper: a disk that the container sees as such, or mounted. */
export interface ContainerDisk {
  source: string;
  destination: string;
  readOnly: boolean;
  fileSystem?: DiskFileSystem;
}

export interface RootDisks {
  layers: { source: string }[];
  scratch?: { source: string };
  rootDisk?: { source: string; readOnly: boolean };
}

interface Growing {
  diskId: string;
  path: string;
  sizeBytes: number;
}

/** The disks that are plugged into the guest for one container. */
export class AttachedDisks {
  readonly #pod: Pick<TaskPod, "attachDisk" | "keeper">;
  readonly #log: Logger;
  readonly #all: PodDisk[] = [];
  readonly #growing: Growing[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(pod: Pick<TaskPod, "attachDisk" | "keeper">, log: Logger) {
    this.#pod = pod;
    this.#log = log;
  }

  /** What the root file system is made of; empty for one that is shared. */
  async attachRoot(rootfs: Rootfs): Promise<RootDisks> {
    if (rootfs.kind === "disk") {
      const { path, readOnly } = rootfs;
      return { layers: [], rootDisk: { source: await this.#plug(path, readOnly), readOnly } };
    }
    if (rootfs.kind !== "disks") return { layers: [] };
    const layers: { source: string }[] = [];
    for (const path of rootfs.layers) layers.push({ source: await this.#plug(path, true) });
    if (rootfs.scratch === undefined) return { layers };
    return { layers, scratch: { source: await this.#plug(rootfs.scratch, false) } };
  }

  async attachVolumes(disks: readonly WantedDisk[]): Promise<ContainerDisk[]> {
    const attached: ContainerDisk[] = [];
    for (const { path, ...wanted } of disks) {
      const { source, diskId } = await this.#attach(path, wanted.readOnly);
      attached.push({ ...wanted, source });
      this.#growing.push({ diskId, path, sizeBytes: diskSizeBytes(path) ?? 0 });
    }
    return attached;
  }

  /** From here on, the guest is told when a disk has grown. */
  followSizes(): void {
    if (this.#growing.length === 0) return;
    this.#timer = setInterval(() => void this.#checkSizes(), SIZE_CHECK_MS).unref();
  }

  /** The container has ended. */
  close(): void {
    clearInterval(this.#timer);
  }

  /** A disk that the guest does not let go of stays plugged in, unused; that is no failure. */
  async detach(): Promise<void> {
    this.close();
    for (const { diskId } of this.#all.splice(0).reverse()) {
      await this.#pod.keeper.detachDisk({ diskId }).catch((error: unknown) => {
        this.#log.warn("a disk could not be unplugged", { diskId, error });
      });
    }
  }

  async #plug(path: string, readOnly: boolean): Promise<string> {
    return (await this.#attach(path, readOnly)).source;
  }

  /** Noted as soon as it is one: whatever fails after this, it is unplugged. */
  async #attach(path: string, readOnly: boolean): Promise<PodDisk> {
    const disk = await this.#pod.attachDisk(path, { readOnly });
    this.#all.push(disk);
    return disk;
  }

  async #checkSizes(): Promise<void> {
    for (const one of this.#growing) {
      const sizeBytes = diskSizeBytes(one.path);
      if (sizeBytes === undefined || sizeBytes <= one.sizeBytes) continue;
      // Once for each size, also where it fails.
      one.sizeBytes = sizeBytes;
      const { diskId } = one;
      await this.#pod.keeper.resizeDisk({ diskId, sizeBytes }).catch((error: unknown) => {
        this.#log.warn("the guest could not be told that a disk has grown", { diskId, error });
      });
    }
  }
}
