// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import type { Configuration } from "../config/keys/registry.ts";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import type { Journal } from "../host/journal/journal.ts";
import { BAY_DISK_ID, type BayContent } from "./bay-content.ts";
import { diskSettings, openDisk } from "./disk-file.ts";
import type { KeeperClient } from "./keeper-client.ts";
import type { Loss } from "./loss.ts";
import type { PodDevices } from "./pod-devices.ts";
import { tearDownOwn } from "./pod-journal.ts";
import type { PodShares } from "./pod-shares.ts";

/** How long the guest has to end tidily; nothing in it outlives the pod. */
const DESTROY_TIMEOUT_MS = 2_000;

export interface PodParts {
  key: string;
  journal: Journal;
  configuration: Configuration;
  vmmPid: number;
  /** Of a process in the network namespace that the pod's client may change; none: there is none. */
  networkHolderPid: number | undefined;
  /** Gives the guest what is there by then. */
  joinNetwork: () => Promise<void>;
  keeper: KeeperClient;
  /** The shim's end of the socket for descriptors. */
  descriptorSocketFd: number;
  loss: Loss;
  shares: PodShares;
  devices: PodDevices;
}

/** A disk of the pod, as shim and guest name it. */
export interface PodDisk {
  diskId: string;
  /** Where the guest finds it: a PCI path. */
  source: string;
}

/** A virtual machine that runs, with its keeper, and the sandbox in it. */
export class Pod {
  readonly key: string;
  readonly configuration: Configuration;
  readonly keeper: KeeperClient;
  readonly vmmPid: number;
  /** Of a process whose network namespace the pod's client may change before the first start. */
  readonly networkHolderPid: number | undefined;
  /** What of the host's files the guest sees through virtio-fs. */
  readonly shares: PodShares;
  /** Devices of the host's that the guest drives. */
  readonly devices: PodDevices;
  readonly #parts: PodParts;
  #disks = 0;
  /** Until somebody wants it. */
  #bay: { path: string; source: string } | undefined;
  #isWritten = false;
  readonly #held: number[] = [];
  #joined: Promise<void> | undefined;
  #end: Promise<boolean> | undefined;

  constructor(parts: PodParts) {
    this.key = parts.key;
    this.configuration = parts.configuration;
    this.keeper = parts.keeper;
    this.vmmPid = parts.vmmPid;
    this.networkHolderPid = parts.networkHolderPid;
    this.shares = parts.shares;
    this.devices = parts.devices;
    this.#parts = parts;
  }

  /** Resolves when VMM or keeper are gone without having been asked to; never rejects. */
  get lost(): Promise<MukonError> {
    return this.#parts.loss.happened;
  }

  /**
   * Plugs a file or a block device of the host's into the guest, by descriptor.
   * @throws DISK_INVALID, VMM_SLOTS_EXHAUSTED and others of the keeper's
   */
  async attachDisk(path: string, options: { readOnly: boolean }): Promise<PodDisk> {
    const inBay = options.readOnly ? this.#takeFromBay(path) : undefined;
    if (inBay !== undefined) return inBay;
    const descriptor = openDisk(path, options);
    try {
      this.#disks += 1;
      if (!options.readOnly) this.expectWrites();
      const diskId = `d${this.#disks}`;
      const { readOnly } = options;
      const settings = diskSettings(this.configuration.hypervisor.qemu);
      const request = { diskId, readOnly, ...settings };
      const { source } = await this.keeper.attachDisk(request, [descriptor]);
      return { diskId, source };
    } catch (error) {
      // The keeper knows no paths.
      const { code, message, hint } = asMukonError(error);
      if (!/^(VMM|QMP)_/.test(code)) throw error;
      throw new MukonError(code, `${path}: ${message}`, { hint, cause: error });
    } finally {
      closeSync(descriptor);
    }
  }

  /** What the machine has had in its bay since it began to run, and where the guest finds that. */
  noteBay(content: BayContent | undefined, source: string): void {
    if (typeof content === "object") this.#bay = { path: content.path, source };
  }

  #takeFromBay(path: string): PodDisk | undefined {
    if (this.#bay?.path !== path) return undefined;
    const { source } = this.#bay;
    this.#bay = undefined;
    return { diskId: BAY_DISK_ID, source };
  }

  /**
   * Gives the guest, once, the interfaces that are in its new network namespace by then.
   * @throws those of connectNetwork, and POD_ENDED
   */
  joinNetwork(): Promise<void> {
    this.#joined ??= this.#parts.joinNetwork();
    return this.#joined;
  }

  /**
   * To be called for all of the host's that the guest may write to: a pod that has such a thing is asked
   * to write what it still holds before it ends.
   */
  expectWrites(): void {
    this.#isWritten = true;
  }

  /** Keeps a descriptor open as long as the pod is there. */
  hold(descriptor: number): void {
    if (this.#end === undefined) this.#held.push(descriptor);
    else closeSync(descriptor);
  }

  /**
   * Ends the pod and gives back everything that it has; idempotent. Resolves to false when somebody
   * else had done so already. With `isStopped` the guest is not asked to end by itself first.
   * @throws TEARDOWN_INCOMPLETE; the journal is kept then, for `mukon gc`
   */
  destroy(options: { isStopped?: boolean } = {}): Promise<boolean> {
    this.#end ??= this.#destroy(options.isStopped ?? false);
    return this.#end;
  }

  async #destroy(isStopped: boolean): Promise<boolean> {
    const { loss, keeper, journal, key, descriptorSocketFd } = this.#parts;
    loss.expect();
    // Without such a thing, all that it has is in its memory, and goes with it.
    const hasMoreToWrite = this.#isWritten && !isStopped;
    if (loss.error === undefined && hasMoreToWrite) {
      await keeper.destroySandbox({ timeoutMs: DESTROY_TIMEOUT_MS }).catch(() => {});
    }
    keeper.close(loss.error);
    this.shares.close();
    for (const descriptor of this.#held.splice(0)) closeSync(descriptor);
    journal.close();
    try {
      return await tearDownOwn(key);
    } finally {
      // Not before: a request that is on its way must not find another file under this number.
      closeSync(descriptorSocketFd);
    }
  }
}
