// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { runRoot } from "../../linux/paths.ts";

/** The containerd namespace that the command line uses for its own containers. */
export const NAMESPACE = "mukon";

/** Files of one container's bundle, all below `<run>/bundles/<id>` (root-only). */
export interface BundlePaths {
  directory: string;
  /** The OCI runtime specification. */
  config: string;
  /** Users and groups of its image, by name. */
  accounts: string;
  /** What the command line remembers of the container. */
  record: string;
  /** How the container ended; there once it has, and its shim is gone. */
  exit: string;
  /** Both output streams as they came. */
  output: string;
  /** FIFO: what the shim logs. */
  shimLog: string;
  /** Address of the shim's socket, as the shim prints it. */
  address: string;
  /** What of a network was made for it, and how to take it back. */
  network: string;
  hosts: string;
  resolvConf: string;
  /** A link to the writable disk of the container, when it has one. */
  scratch: string;
}

export function bundlesDirectory(): string {
  return join(runRoot(), "bundles");
}

/** One file a name, holding the container's id: made with O_EXCL, so that a name has one owner. */
export function namesDirectory(): string {
  return join(runRoot(), "names");
}

export function bundlePaths(id: string): BundlePaths {
  const directory = join(bundlesDirectory(), id);
  return {
    directory,
    config: join(directory, "config.json"),
    accounts: join(directory, "accounts.json"),
    record: join(directory, "cli.json"),
    exit: join(directory, "exit.json"),
    output: join(directory, "output.log"),
    shimLog: join(directory, "log"),
    address: join(directory, "address"),
    network: join(directory, "network.json"),
    hosts: join(directory, "hosts"),
    resolvConf: join(directory, "resolv.conf"),
    scratch: join(directory, "scratch.img"),
  };
}
