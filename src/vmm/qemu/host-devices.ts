// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { DiskSlot, DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";
import { unplug } from "./unplug.ts";

/** All of the guest's memory is pinned for the first one. */
const ATTACH_TIMEOUT_MS = 60_000;
/** Where the VMM's jail has a device's facts, by its PCI address. */
const DIRECTORY = "/dev/vfio";

/** Devices of the host's that are plugged into a running machine (VFIO). */
export class HostDevices {
  readonly #qmp: Pick<QmpClient, "execute" | "onEvent">;
  readonly #slots: DiskSlots;
  readonly #attached = new Map<string, DiskSlot>();

  constructor(qmp: Pick<QmpClient, "execute" | "onEvent">, slots: DiskSlots) {
    this.#qmp = qmp;
    this.#slots = slots;
  }

  /**
   * Plugs the device at this PCI address of the host's in; the guest finds it at the returned PCI path
   * a little later. Errors: `VFIO_DEVICE_BUSY`, `VFIO_REFUSED`, `VMM_SLOTS_EXHAUSTED`, and those of
   * {@link QmpClient}.
   */
  async attach(address: string): Promise<{ source: string }> {
    const slot = this.#slots.take();
    const device = {
      driver: "vfio-pci",
      id: deviceName(address),
      sysfsdev: `${DIRECTORY}/${address}`,
      bus: slot.bus,
      addr: slot.address,
    };
    try {
      await this.#qmp.execute("device_add", device, { timeoutMs: ATTACH_TIMEOUT_MS });
    } catch (error) {
      this.#slots.giveBack(slot);
      throw described(error, address);
    }
    this.#attached.set(address, slot);
    return { source: slot.pciPath };
  }

  /** Takes it from the guest. Errors: as of {@link unplug}. */
  async detach(address: string): Promise<void> {
    const slot = this.#attached.get(address);
    if (slot === undefined) return;
    await unplug(this.#qmp, { name: deviceName(address), what: `the host's device ${address}` });
    this.#attached.delete(address);
    this.#slots.giveBack(slot);
  }
}

function described(error: unknown, address: string): unknown {
  const { code, message } = asMukonError(error);
  if (code !== "QMP_COMMAND_FAILED") return error;
  if (/resource busy|already attached/i.test(message)) {
    return new MukonError("VFIO_DEVICE_BUSY", `The device ${address} is in use by another VM.`, {
      hint: "a device, with all of its group, belongs to one pod at a time",
      cause: error,
    });
  }
  return new MukonError(
    "VFIO_REFUSED",
    `The device ${address} could not be given to the guest: ${message}`,
    { hint: "the host's kernel says more about it: dmesg", cause: error },
  );
}

/** QEMU's names have no colons. */
function deviceName(address: string): string {
  return `host-${address.replaceAll(/[:.]/g, "-")}`;
}
