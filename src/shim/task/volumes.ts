// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, readSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { isBind } from "../../guest-protocol/agent-mounts.ts";
import type { OciMount, OciSpec } from "../../guest-protocol/oci-spec.ts";

/** Files that the guest makes by itself, or can do without. */
const DISPENSABLE = [
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
  "/dev/shm",
  "/dev/termination-log",
];
/** What lies there on the host is the host's kernel's; the guest has its own. */
const KERNEL_DIRECTORIES = ["/proc", "/sys", "/dev"];
const MAX_RESOLV_CONF_BYTES = 64 * 1024;
const MAX_LINES = 64;
const MAX_LINE_LENGTH = 1024;

/**
 * Checks that the guest can do without the host's files that are to be mounted. Returns a sentence
 * for each mount that it will not have.
 * @throws VOLUME_UNSUPPORTED, naming the mount
 */
export function checkVolumes(spec: OciSpec): string[] {
  const warnings: string[] = [];
  for (const mount of (spec.mounts ?? []).filter(isBind)) {
    const { destination, source = "" } = mount;
    if (!DISPENSABLE.includes(destination) && !isOfKernel(source)) throw unsupported(mount);
    if (destination === "/etc/resolv.conf" || destination === "/dev/shm") continue;
    warnings.push(`the mount of ${source} on ${destination} is left out: it is the host's`);
  }
  return warnings;
}

/** Lines of the file that the container is to see as /etc/resolv.conf; none: no such mount. */
export function nameServerLines(spec: OciSpec): string[] {
  const mount = spec.mounts?.find(({ destination }) => destination === "/etc/resolv.conf");
  if (mount?.source === undefined || !isBind(mount)) return [];
  return readStart(mount.source, MAX_RESOLV_CONF_BYTES)
    .split("\n")
    .filter((line) => line.trim() !== "" && line.length <= MAX_LINE_LENGTH)
    .slice(0, MAX_LINES);
}

function isOfKernel(source: string): boolean {
  return KERNEL_DIRECTORIES.some((path) => source === path || source.startsWith(`${path}/`));
}

function unsupported({ destination, source }: OciMount): MukonError {
  return new MukonError(
    "VOLUME_UNSUPPORTED",
    `the container wants ${source} of the host on ${destination}, which mukon does not offer yet`,
    { hint: "put what it needs into its image, or its scratch disk" },
  );
}

function readStart(path: string, maxBytes: number): string {
  // Without O_NONBLOCK, a FIFO in its place would hold up the shim.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(maxBytes);
    return buffer.toString("utf8", 0, readSync(descriptor, buffer, 0, maxBytes, 0));
  } finally {
    closeSync(descriptor);
  }
}
