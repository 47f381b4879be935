// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { DiskSlots } from "./disk-slots.ts";
import type { QmpClient } from "./qmp/client.ts";

const CONTROLLER = "scsi";
/** As Kata numbers them: 256 units on each of 256 targets (virtcontainers, GetSCSIIdLun). */
const UNITS_PER_TARGET = 256;
const MOST_UNITS = 256 * UNITS_PER_TARGET;

/** Where a disk is on the one SCSI bus of the machine. */
export interface ScsiAddress {
  target: number;
  unit: number;
}

/** The machine's SCSI controller, which is plugged in with the first disk that wants it. */
export class ScsiBus {
  readonly #qmp: Pick<QmpClient, "execute">;
  readonly #slots: DiskSlots;
  readonly #taken = new Set<number>();
  #next = 0;
  #controller: Promise<void> | undefined;

  constructor(qmp: Pick<QmpClient, "execute">, slots: DiskSlots) {
    this.#qmp = qmp;
    this.#slots = slots;
  }

  /** An address of the bus, which is there from now on. Errors: as of a disk that is plugged in. */
  async take(): Promise<ScsiAddress> {
    const number = this.#takeNumber();
    try {
      this.#controller ??= this.#plug();
      await this.#controller;
    } catch (error) {
      this.#controller = undefined;
      this.#taken.delete(number);
      throw error;
    }
    return {
      target: Math.floor(number / UNITS_PER_TARGET),
      unit: number % UNITS_PER_TARGET,
    };
  }

  giveBack({ target, unit }: ScsiAddress): void {
    this.#taken.delete(target * UNITS_PER_TARGET + unit);
  }

  /** Onwards, and from the start again: the guest may still know what was at an address last. */
  #takeNumber(): number {
    for (let tries = 0; tries < MOST_UNITS; tries += 1) {
      const number = this.#next;
      this.#next = (number + 1) % MOST_UNITS;
      if (this.#taken.has(number)) continue;
      this.#taken.add(number);
      return number;
    }
    throw new MukonError("VMM_SLOTS_EXHAUSTED", "All SCSI addresses of this pod are taken.");
  }

  async #plug(): Promise<void> {
    const slot = this.#slots.take();
    try {
      await this.#qmp.execute("device_add", {
        driver: "virtio-scsi-pci-non-transitional",
        id: CONTROLLER,
        bus: slot.bus,
        addr: slot.address,
      });
    } catch (error) {
      this.#slots.giveBack(slot);
      throw error;
    }
  }
}

/** A disk at an address, for `device_add`. */
export function scsiDisk(address: ScsiAddress): Record<string, unknown> {
  return {
    ...{ driver: "scsi-hd", bus: `${CONTROLLER}.0`, channel: 0 },
    ...{ "scsi-id": address.target, lun: address.unit },
  };
}

/** How the guest's agent finds it, in Kata's words: target and unit. */
export function scsiSource({ target, unit }: ScsiAddress): string {
  return `${target}:${unit}`;
}
