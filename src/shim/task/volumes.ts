// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { isBind } from "../../guest-protocol/agent-mounts.ts";
import type { OciMount, OciSpec } from "../../guest-protocol/oci-spec.ts";
import {
  bytesOf,
  MAX_TOTAL_BYTES,
  readSnapshot,
  type VolumeEntry,
} from "../../host/volume-copies/snapshot.ts";

/** Made anew for each container by its engine: nobody expects to find what was written there. */
const ENGINE_FILES = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];
/** Files that the guest makes by itself, or can do without. */
const DISPENSABLE = [...ENGINE_FILES, "/dev/termination-log"];
/** What lies there on the host is the host's kernel's; the guest has its own. */
const KERNEL_DIRECTORIES = ["/proc", "/sys", "/dev"];
const MAX_RESOLV_CONF_BYTES = 64 * 1024;
const MAX_LINES = 64;
const MAX_LINE_LENGTH = 1024;

/** A file or directory of the host's that the guest gets a copy of, which is kept up to date. */
export interface VolumeCopy {
  source: string;
  destination: string;
  entries: VolumeEntry[];
}

export interface VolumePlan {
  copies: VolumeCopy[];
  /** A sentence for each mount that is not wholly what was asked for. */
  warnings: string[];
}

/**
 * Says which of the host's files the guest gets, and reads them.
 * @throws VOLUME_UNSUPPORTED, naming the mount
 */
export function planVolumes(spec: OciSpec): VolumePlan {
  const plan: VolumePlan = { copies: [], warnings: [] };
  for (const mount of (spec.mounts ?? []).filter(isBind)) planMount(plan, mount);
  return plan;
}

function planMount(plan: VolumePlan, mount: OciMount): void {
  const { destination, source = "", options = [] } = mount;
  if (destination === "/dev/shm") return;
  const status = isAbsolute(source) ? statSync(source, { throwIfNoEntry: false }) : undefined;
  if (isOfKernel(source) || (status === undefined && DISPENSABLE.includes(destination))) {
    plan.warnings.push(`the mount of ${source} on ${destination} is left out: it is the host's`);
    return;
  }
  if (status === undefined) throw unsupported(mount, "is not there");
  const isReadOnly = options.includes("ro");
  if (status.isDirectory() && !isReadOnly) {
    throw unsupported(mount, "is a directory that the container may write to");
  }
  plan.copies.push({ source, destination, entries: readSnapshot(source) });
  if (bytesOf(plan.copies.flatMap(({ entries }) => entries)) > MAX_TOTAL_BYTES) {
    throw unsupported(mount, `makes over ${MAX_TOTAL_BYTES} bytes with the container's other ones`);
  }
  if (isReadOnly || ENGINE_FILES.includes(destination)) return;
  plan.warnings.push(`what the container writes to ${destination} does not reach ${source}`);
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

function unsupported({ destination, source }: OciMount, why: string): MukonError {
  return new MukonError(
    "VOLUME_UNSUPPORTED",
    `the container wants ${source} of the host on ${destination}, which ${why}`,
    { hint: "mount a small file, or a small directory read-only; or put it into the image" },
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
