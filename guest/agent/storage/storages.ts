// SPDX-License-Identifier: Apache-2.0
import { rm } from "node:fs/promises";
import { AgentError, Status } from "../errors.ts";
import { failure } from "../log.ts";
import { mount, unmount } from "../native/mount.ts";
import { mountWithDriver, type StorageSpec } from "./drivers.ts";
import { applyFsGroup } from "./fs-group.ts";
import { checkGuestPath } from "./paths.ts";

interface Mounted {
  users: number;
  readonly isMount: boolean;
  /** Settles when the first user's mount is done. */
  readonly ready: Promise<void>;
}

/** What is mounted for containers, counted: several may share one mount point. */
export class Storages {
  readonly #mounted = new Map<string, Mounted>();

  /**
   * Mounts all, in order, or none.
   * @returns the mount points, to be given to {@link remove} in the end
   */
  async add(storages: readonly StorageSpec[]): Promise<string[]> {
    const added: string[] = [];
    try {
      for (const storage of storages) added.push(await this.#addOne(storage));
      return added;
    } catch (error) {
      await this.remove(added);
      throw error;
    }
  }

  /** Undoes {@link add}, last first. Failures are logged: what is left is left for the VM's end. */
  async remove(mountPoints: readonly string[]): Promise<void> {
    for (const target of mountPoints.toReversed()) {
      const mounted = this.#mounted.get(target);
      if (mounted === undefined) continue;
      mounted.users -= 1;
      if (mounted.users > 0) continue;
      this.#mounted.delete(target);
      await takeAway(target, mounted.isMount);
    }
  }

  /** Changes options of mounts that are there, such as the size of a tmpfs. */
  async remount(storages: readonly StorageSpec[]): Promise<void> {
    for (const storage of storages) {
      const target = checkGuestPath(storage.mountPoint, "mount point");
      if (!this.#mounted.has(target)) {
        throw new AgentError(Status.notFound, `nothing is mounted on ${target}`);
      }
      const options = ["remount", ...storage.options.filter((option) => option !== "remount")];
      const { source, fstype: type } = storage;
      await mount({ source, target, type, options });
    }
  }

  async #addOne(storage: StorageSpec): Promise<string> {
    const target = checkGuestPath(storage.mountPoint, "mount point");
    const known = this.#mounted.get(target);
    if (known !== undefined) {
      known.users += 1;
      await known.ready;
      return target;
    }
    const ready = mountNew(storage, target);
    this.#mounted.set(target, { users: 1, isMount: storage.driver !== "local", ready });
    try {
      await ready;
      return target;
    } catch (error) {
      this.#mounted.delete(target);
      throw error;
    }
  }
}

async function mountNew(storage: StorageSpec, target: string): Promise<void> {
  await mountWithDriver(storage, target);
  if (storage.fsGroup !== undefined) await applyFsGroup(target, storage.fsGroup);
}

async function takeAway(target: string, isMount: boolean): Promise<void> {
  try {
    if (isMount) await unmount(target);
    await rm(target, { recursive: !isMount, force: true }).catch(() => undefined);
  } catch (error) {
    failure(`cannot take ${target} away`, error);
  }
}
