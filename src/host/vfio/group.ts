// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { NodeNumbers } from "../../linux/device-node.ts";

/** Devices that can only be given away together: nothing between them keeps them apart. */
export interface VfioGroup {
  /** As in /dev/vfio/12. */
  number: number;
  node: NodeNumbers;
  /** PCI addresses of the devices that the VMM gets, such as `0000:01:00.0`. */
  addresses: string[];
}

const DRIVER = "vfio-pci";
/** PCI class of a bridge to another bus, which stays the host's (pci_ids.h). */
const BRIDGE = /^0x0604/;

/**
 * The group with this node. Every device in it must have been given to vfio-pci before: the kernel
 * lets nobody use a group of which the host has a part.
 * @throws VFIO_GROUP_MISSING, VFIO_GROUP_UNVIABLE
 */
export function findVfioGroup(node: NodeNumbers, sys = "/sys"): VfioGroup {
  const name = namesIn(join(sys, "class/vfio")).find(
    (one) => textOf(join(sys, "class/vfio", one, "dev")) === `${node.major}:${node.minor}`,
  );
  if (name === undefined || !/^\d+$/.test(name)) {
    throw new MukonError(
      "VFIO_GROUP_MISSING",
      `No VFIO group of this host has the node ${node.major}:${node.minor}.`,
      { hint: "give the device to vfio-pci first: driver_override, unbind, drivers_probe" },
    );
  }
  const addresses = namesIn(join(sys, "kernel/iommu_groups", name, "devices"));
  const given = addresses.filter((address) => {
    const device = join(sys, "bus/pci/devices", address);
    const driver = driverOf(device);
    if (driver === DRIVER) return true;
    if (driver === undefined || BRIDGE.test(textOf(join(device, "class")))) return false;
    throw new MukonError(
      "VFIO_GROUP_UNVIABLE",
      `VFIO group ${name} cannot be given to a pod: the host itself uses ${address} in it (driver ${driver}).`,
      { hint: "give all devices of the group to vfio-pci, or put the device into another slot" },
    );
  });
  return { number: Number(name), node, addresses: given.sort() };
}

function driverOf(device: string): string | undefined {
  const link = join(device, "driver");
  return existsSync(link) ? basename(readlinkSync(link)) : undefined;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
