// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "../../logging/logger.ts";
import type { PodShares } from "../../sandbox/pod-shares.ts";
import type { Rootfs } from "./rootfs.ts";
import type { VolumeShare } from "./volumes.ts";

/** What one container sees of the host through virtio-fs. */
export class ContainerShares {
  readonly #containerId: string;
  readonly #shares: Pick<PodShares, "addBind" | "addOverlay" | "remove">;
  readonly #log: Logger;
  readonly #names: string[] = [];
  readonly #mounts: { destination: string; volume: string; isShared: true }[] = [];

  constructor(
    containerId: string,
    parts: { shares: Pick<PodShares, "addBind" | "addOverlay" | "remove">; log: Logger },
  ) {
    this.#containerId = containerId;
    this.#shares = parts.shares;
    this.#log = parts.log;
  }

  /** For the keeper: which share goes where. */
  get mounts(): readonly { destination: string; volume: string; isShared: true }[] {
    return this.#mounts;
  }

  /** The name of the root file system in the shared file system; undefined: it is on disks. */
  async addRootfs(rootfs: Rootfs): Promise<string | undefined> {
    if (rootfs.kind === "disks" || rootfs.kind === "disk") return undefined;
    const name = this.#claim("rootfs");
    if (rootfs.kind === "bind") await this.#shares.addBind(name, rootfs.bind);
    else await this.#shares.addOverlay(name, rootfs.overlay);
    return name;
  }

  async addVolumes(volumes: readonly VolumeShare[]): Promise<void> {
    for (const { destination, bind } of volumes) {
      const volume = this.#claim(`s${this.#mounts.length}`);
      await this.#shares.addBind(volume, bind);
      this.#mounts.push({ destination, volume, isShared: true });
    }
  }

  /** The container is gone, the pod goes on. */
  remove(): void {
    for (const name of this.#names.splice(0).reverse()) {
      try {
        this.#shares.remove(name);
      } catch (error) {
        this.#log.warn("something shared with the guest stays mounted", { name, error });
      }
    }
  }

  #claim(suffix: string): string {
    const name = `${this.#containerId}-${suffix}`;
    this.#names.push(name);
    return name;
  }
}
