// SPDX-License-Identifier: Apache-2.0
import { openGuest } from "../../guest/image/open.ts";
import type { Configuration } from "../config/keys/registry.ts";

/** Files that the guest boots from, by absolute path. */
export interface GuestFiles {
  kernelPath: string;
  initrdPath: string;
  imagePath: string;
}

/**
 * The files that the configuration names, and those of mukon's own guest for all others.
 * @throws GUEST_NOT_BUILT, GUEST_MANIFEST_INVALID, GUEST_HASH_MISMATCH
 */
export async function guestFiles(
  settings: Configuration["hypervisor"]["qemu"],
): Promise<GuestFiles> {
  const { kernel, initrd, image } = settings;
  if (kernel !== "" && initrd !== "" && image !== "") {
    return { kernelPath: kernel, initrdPath: initrd, imagePath: image };
  }
  const own = await openGuest();
  return {
    kernelPath: kernel || own.kernelPath,
    initrdPath: initrd || own.initrdPath,
    imagePath: image || own.imagePath,
  };
}
