// SPDX-License-Identifier: Apache-2.0
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { guestDirectory, runRoot } from "../../src/linux/paths.ts";
import { GUEST_FILES, type GuestManifest, readManifest } from "./manifest.ts";
import { CURRENT_LINK } from "./store.ts";
import { verifyFiles } from "./verify.ts";

/** A guest whose files are what its manifest says. Paths are absolute and free of links. */
export interface GuestAssets {
  manifest: GuestManifest;
  directory: string;
  kernelPath: string;
  initrdPath: string;
  imagePath: string;
  /** The built-in container image and its config. */
  busyboxPath: string;
  busyboxConfigPath: string;
}

export interface OpenGuestOptions {
  /** Directory that holds the guests; default `<state>/guest`. */
  root?: string;
  /** Where to remember which files were checked; default `<run>/guest-verified.json`. */
  stampPath?: string;
}

/**
 * Finds the current guest and checks the hash of each of its files. A file that was checked since
 * the machine started, and is still the same inode of the same times, is not read again.
 * @throws MukonError GUEST_NOT_BUILT, GUEST_MANIFEST_INVALID, GUEST_HASH_MISMATCH
 */
export async function openGuest(options: OpenGuestOptions = {}): Promise<GuestAssets> {
  const root = options.root ?? guestDirectory();
  const directory = await realpath(join(root, CURRENT_LINK)).catch((cause: unknown) => {
    throw new MukonError("GUEST_NOT_BUILT", `There is no guest image in ${root}.`, {
      hint: "Run: mukon guest build",
      cause,
    });
  });
  const manifest = await readManifest(directory);
  const stampPath = options.stampPath ?? join(runRoot(), "guest-verified.json");
  await verifyFiles(directory, manifest.files, stampPath);
  const path = (name: keyof typeof GUEST_FILES): string => join(directory, GUEST_FILES[name]);
  return {
    manifest,
    directory,
    kernelPath: path("kernel"),
    initrdPath: path("initrd"),
    imagePath: path("image"),
    busyboxPath: path("busybox"),
    busyboxConfigPath: path("busyboxConfig"),
  };
}
