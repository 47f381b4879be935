// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { BRIDGE_SLOTS, bridgeId } from "./launch-plan.ts";

/** A PCI bridge has 32 slots; its hot-plug controller may own the first. */
const FIRST_SLOT = 1;
const LAST_SLOT = 31;

/** Where a disk is plugged in. */
export interface DiskSlot {
  /** QEMU's name of the bus, and the address on it. */
  bus: string;
  address: string;
  /** How the guest's agent finds it: slots from the root bus on, as in "05/01". */
  pciPath: string;
}

/** Hands out the places that the machine has for disks and network cards. */
export class DiskSlots {
  readonly #free: DiskSlot[] = allSlots();

  /** `VMM_SLOTS_EXHAUSTED` when all are taken. */
  take(): DiskSlot {
    const slot = this.#free.shift();
    if (slot !== undefined) return slot;
    throw new MukonError(
      "VMM_SLOTS_EXHAUSTED",
      `All ${allSlots().length} places for disks of this pod are taken.`,
      { hint: "Use images of fewer layers, or fewer containers in one pod." },
    );
  }

  /** To the end of the row: a slot that was just emptied is the last to be used again. */
  giveBack(slot: DiskSlot): void {
    this.#free.push(slot);
  }
}

function allSlots(): DiskSlot[] {
  return BRIDGE_SLOTS.flatMap((bridgeSlot, index) =>
    Array.from({ length: LAST_SLOT - FIRST_SLOT + 1 }, (_, offset) => {
      const slot = FIRST_SLOT + offset;
      return {
        bus: bridgeId(index),
        address: `0x${slot.toString(16)}`,
        pciPath: `${hexByte(bridgeSlot)}/${hexByte(slot)}`,
      };
    }),
  );
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
