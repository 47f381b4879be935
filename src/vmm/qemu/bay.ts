// SPDX-License-Identifier: Apache-2.0
import type { QmpClient } from "./qmp/client.ts";

const NAME = "bay";
/** A disk of no size at all. */
const NOTHING = "no-disk";
const SLOT = 0x7;

/** How the guest's agent finds what is in the bay. */
export const BAY_PCI_PATH = SLOT.toString(16).padStart(2, "0");
/** Of those of the launch plan. */
export const BAY_DESCRIPTOR_SET = 3;

/**
 * A disk that every machine has, also the one that a template is made of, with nothing in it: what is
 * put in before the machine runs is there at once, where a disk that is plugged in has to be found by the
 * guest first. It cannot be written to.
 */
export function bayArguments(): string[] {
  const nothing = `driver=null-co,node-name=${NOTHING},size=0,read-only=on`;
  const device = `id=${NAME},drive=${NOTHING},bus=pcie.0,addr=0x${SLOT.toString(16)}`;
  const errors = "werror=report,rerror=report";
  return [
    ...["-blockdev", nothing],
    ...["-device", `virtio-blk-pci-non-transitional,${device},${errors}`],
  ];
}

/** Puts a node into the bay, in place of what is there, or nothing. Errors: {@link QmpClient}'s. */
export async function fillBay(
  qmp: Pick<QmpClient, "execute">,
  node: string | undefined,
): Promise<void> {
  await qmp.execute("qom-set", {
    path: `/machine/peripheral/${NAME}`,
    property: "drive",
    value: node ?? NOTHING,
  });
}
