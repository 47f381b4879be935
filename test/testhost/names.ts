// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { stateRoot } from "../../src/linux/paths.ts";

/** What the console says once commands can be run. */
export const READY_LINE = "TESTHOST-READY";
/** Where the checkout appears in the host. */
export const CHECKOUT = "/mukon";
/** The ordinary user of the host: in group kvm, with subordinate ids. */
export const ORDINARY_USER = "tester";
/** The name that the host's key is known by. */
export const KEY_ALIAS = "testhost";

/** Files of an image, below `images/<key>`. */
export const IMAGE_FILES = {
  disk: "root.ext4",
  kernel: "vmlinuz",
  initrd: "initrd",
  clientKey: "id_ed25519",
  knownHosts: "known_hosts",
} as const;

/** Files of a snapshot, below `snapshots/<key>`. */
export const SNAPSHOT_FILES = { disk: "root.ext4", state: "state" } as const;

/** The one directory that all of this lies in; root's alone. */
export function cacheDirectory(): string {
  return join(stateRoot(), "testhost");
}

/** Files of the host that runs, or ran last. */
export function runDirectory(): string {
  return join(cacheDirectory(), "run");
}
