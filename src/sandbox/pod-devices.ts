// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import type { PodCgroup } from "../host/cgroups/pod-cgroup.ts";
import { findVfioGroup, type VfioGroup } from "../host/vfio/group.ts";
import { nodesOf, showVfioGroups } from "../host/vfio/jail-nodes.ts";
import type { NodeNumbers } from "../linux/device-node.ts";
import { setLockedMemoryLimit } from "../linux/process-limits.ts";
import type { KeeperClient } from "./keeper-client.ts";

const BYTES_PER_MIB = 1024 * 1024;
/** What else of a VM's is mapped for a device, beside its memory: firmware, ROMs of devices. */
const SPARE_MIB = 64;

export interface PodDevicesParts {
  vmmPid: number;
  /** Whom the VMM runs as. */
  owner: { uid: number; gid: number };
  /** Where the pod's processes are on the host, if they are in a cgroup of its own. */
  cgroup?: Pick<PodCgroup, "allowDevices"> | undefined;
  /** All that the guest has: memory, and its image. */
  guestBytes: number;
  keeper: Pick<KeeperClient, "attachHostDevice" | "detachHostDevice">;
  /** Kata's `hot_plug_vfio`, unless it says that nothing is. */
  isAllowed: boolean;
}

/** A device of the host's that the guest has. */
export interface PodDevice {
  /** PCI address on the host. */
  address: string;
  /** Where the guest finds it: a PCI path. */
  source: string;
}

/** Devices of the host's that are given to a pod (VFIO): nothing is there until the first one. */
export class PodDevices {
  readonly #parts: PodDevicesParts;
  #groups: readonly VfioGroup[] = [];

  constructor(parts: PodDevicesParts) {
    this.#parts = parts;
  }

  /**
   * Gives the guest all devices of the group with this node.
   * @throws VFIO_OFF, VFIO_GROUP_MISSING, VFIO_GROUP_UNVIABLE, VFIO_DEVICE_BUSY, VFIO_REFUSED
   */
  async attach(node: NodeNumbers): Promise<PodDevice[]> {
    const { isAllowed, vmmPid, guestBytes, keeper } = this.#parts;
    if (!isAllowed) {
      throw new MukonError(
        "VFIO_OFF",
        'Devices are not given to pods: hot_plug_vfio is "no-port".',
        {
          hint: 'set hot_plug_vfio = "bridge-port" in [hypervisor.qemu]',
        },
      );
    }
    const group = findVfioGroup(node);
    // The device reaches all of the guest's memory by itself, so none of it may move.
    setLockedMemoryLimit(vmmPid, guestBytes + SPARE_MIB * BYTES_PER_MIB);
    this.#show([...this.#groups.filter(({ number }) => number !== group.number), group]);
    const attached: PodDevice[] = [];
    try {
      for (const address of group.addresses) {
        attached.push({ address, ...(await keeper.attachHostDevice({ address })) });
      }
      return attached;
    } catch (error) {
      await this.detach(attached).catch(() => {});
      this.#hide(group.addresses);
      throw error;
    }
  }

  /** Takes them from the guest again. @throws what the keeper says when the guest keeps one */
  async detach(devices: readonly PodDevice[]): Promise<void> {
    for (const { address } of [...devices].reverse()) {
      await this.#parts.keeper.detachHostDevice({ address });
    }
    this.#hide(devices.map(({ address }) => address));
  }

  #hide(addresses: readonly string[]): void {
    const isOther = (group: VfioGroup): boolean =>
      !group.addresses.some((address) => addresses.includes(address));
    this.#show(this.#groups.filter(isOther));
  }

  #show(groups: readonly VfioGroup[]): void {
    showVfioGroups(this.#parts.vmmPid, { groups, owner: this.#parts.owner });
    this.#parts.cgroup?.allowDevices("vfio", nodesOf(groups));
    this.#groups = groups;
  }
}
