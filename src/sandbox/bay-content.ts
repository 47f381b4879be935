// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "../config/keys/registry.ts";
import { emptyMemory } from "../linux/memory-file.ts";
import { diskSettings, openDisk } from "./disk-file.ts";
import type { MethodParams } from "./messages/methods.ts";

/**
 * A file or block device that is only read; or a disk of no size that can grow, for a template: clones
 * find something else in its place.
 */
export type BayContent = { path: string } | "blank";

/** As the keeper is asked to put it into the bay; the descriptor is the caller's to close. */
export interface OpenBayContent {
  request: NonNullable<MethodParams<"boot">["bay"]>;
  descriptor: number;
}

/** The name of the disk in the bay. */
export const BAY_DISK_ID = "bay";

/** None: nothing is to be there, or what is will be plugged in later, and say then what is wrong. */
export function openBayContent({
  bay,
  configuration,
}: {
  bay?: BayContent | undefined;
  configuration: Configuration;
}): OpenBayContent | undefined {
  if (bay === undefined) return undefined;
  if (bay === "blank") {
    const request = { diskId: BAY_DISK_ID, readOnly: false };
    return { request, descriptor: emptyMemory("blank-disk") };
  }
  const { driver, ...settings } = diskSettings(configuration.hypervisor.qemu);
  if (driver === "virtio-scsi") return undefined;
  try {
    const descriptor = openDisk(bay.path, { readOnly: true });
    return { request: { diskId: BAY_DISK_ID, readOnly: true, ...settings }, descriptor };
  } catch {
    return undefined;
  }
}
