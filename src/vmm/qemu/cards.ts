// SPDX-License-Identifier: Apache-2.0
import type { DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";

export interface CardRequest {
  /** Short plain name, unique in the pod. */
  cardId: string;
  /**
   * An open tap device whose frames have a virtio-net header, or a connected socket with frames that
   * have their length before them; the caller closes its own.
   */
  descriptor: number;
  /** Which of the two. Default: "tap". */
  backend?: "tap" | "stream" | undefined;
  /** /dev/vhost-net, open for both; without it QEMU itself moves the frames. */
  vhostDescriptor?: number | undefined;
  mac: string;
  mtu: number;
}

/** Network cards that are plugged into a running machine, by descriptor alone. */
export class Cards {
  readonly #qmp: QmpClient;
  readonly #slots: DiskSlots;

  constructor(qmp: QmpClient, slots: DiskSlots) {
    this.#qmp = qmp;
    this.#slots = slots;
  }

  /**
   * Plugs a card in; the guest finds it at the returned PCI path a little later.
   * Errors: those of {@link QmpClient}, `VMM_SLOTS_EXHAUSTED`.
   */
  async attach(request: CardRequest): Promise<{ pciPath: string }> {
    const { cardId, descriptor, vhostDescriptor, mac, mtu } = request;
    const slot = this.#slots.take();
    const give = async (name: string, fd: number): Promise<string> => {
      await this.#qmp.execute("getfd", { fdname: name }, { descriptor: fd });
      return name;
    };
    const id = `net-${cardId}`;
    const fd = await give(`tap-${cardId}`, descriptor);
    if (request.backend === "stream") {
      // Not "stream": that one looks the descriptor up on a thread on which it is not known.
      await this.#qmp.execute("netdev_add", { type: "socket", id, fd });
    } else {
      const vhost =
        vhostDescriptor === undefined
          ? { vhost: false }
          : { vhost: true, vhostfd: await give(`vhost-${cardId}`, vhostDescriptor) };
      await this.#qmp.execute("netdev_add", { type: "tap", id, fd, ...vhost });
    }
    await this.#qmp.execute("device_add", {
      driver: "virtio-net-pci-non-transitional",
      id: `card-${cardId}`,
      netdev: id,
      mac,
      host_mtu: mtu,
      // No boot from the network: the program for that would be one more file of the host's.
      romfile: "",
      bus: slot.bus,
      addr: slot.address,
    });
    return { pciPath: slot.pciPath };
  }
}
