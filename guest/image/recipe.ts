// SPDX-License-Identifier: Apache-2.0
import { BUSYBOX_CONFIG } from "./busybox-image.ts";
import { hashOfData } from "./hashes.ts";
import {
  DISK_MODULES,
  initramfsScript,
  initScript,
  MOUNT_TABLE,
  PMEM_MODULES,
} from "./init-scripts.ts";
import { IMAGE_MODULES } from "./root-image.ts";

/** Counts changes of the layout that are in none of the texts below. */
const LAYOUT_VERSION = 3;

/** A hash that changes with how the guest is put together, so that a new mukon builds a new one. */
export function recipeHash(): string {
  return hashOfData([
    LAYOUT_VERSION,
    initramfsScript({ pmem: PMEM_MODULES, disk: DISK_MODULES }),
    MOUNT_TABLE,
    initScript(),
    IMAGE_MODULES,
    BUSYBOX_CONFIG,
  ]);
}
