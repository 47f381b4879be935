// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, readSync, statfsSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { isBind } from "../../guest-protocol/agent-mounts.ts";
import type { OciMount, OciSpec } from "../../guest-protocol/oci-spec.ts";
import type { SharedBind } from "../../host/shared-fs/tree.ts";
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
/** TMPFS_MAGIC of linux/magic.h. */
const TMPFS_MAGIC = 0x01021994;
const MAX_LINE_LENGTH = 1024;

/** A file or directory of the host's that the guest gets a copy of, which is kept up to date. */
export interface VolumeCopy {
  source: string;
  destination: string;
  entries: VolumeEntry[];
}

/** A file or directory of the host's that the guest sees through virtio-fs. */
export interface VolumeShare {
  destination: string;
  bind: SharedBind;
  /** What it gets where nothing may be shared. */
  fallback?: VolumeCopy;
}

export interface VolumePlan {
  copies: VolumeCopy[];
  shares: VolumeShare[];
  /** A sentence for each mount that is not wholly what was asked for. */
  warnings: string[];
}

/**
 * Says which of the host's files the guest gets, and reads them.
 * @throws VOLUME_UNSUPPORTED, naming the mount
 */
export function planVolumes(spec: OciSpec): VolumePlan {
  const plan: VolumePlan = { copies: [], shares: [], warnings: [] };
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
  if (!status.isDirectory() && !status.isFile()) {
    throw unsupported(mount, "is neither a file nor a directory");
  }
  const isReadOnly = options.includes("ro");
  const isWrittenBack = !isReadOnly && !ENGINE_FILES.includes(destination);
  const copy =
    status.isDirectory() && isWrittenBack ? undefined : copyOf(plan, source, destination);
  if (copy !== undefined && !isWrittenBack) {
    plan.copies.push(copy);
    return;
  }
  const bind = { source, isReadOnly, isRecursive: options.includes("rbind") };
  plan.shares.push({ destination, bind, ...(copy === undefined ? {} : { fallback: copy }) });
}

/** Undefined: it does not fit, by itself or beside the container's other ones. */
function copyOf(plan: VolumePlan, source: string, destination: string): VolumeCopy | undefined {
  try {
    const copy = { source, destination, entries: readSnapshot(source) };
    const all = [...plan.copies, copy].flatMap(({ entries }) => entries);
    return bytesOf(all) > MAX_TOTAL_BYTES ? undefined : copy;
  } catch (error) {
    if (asMukonError(error).code === "VOLUME_UNSUPPORTED") return undefined;
    throw error;
  }
}

/**
 * The plan for a pod whose guest sees nothing of the host: small files are copied, though what is
 * written to them is lost.
 * @throws VOLUME_UNSUPPORTED, naming the first mount that only could be shared
 */
export function withoutShares(plan: VolumePlan): VolumePlan {
  const copies = [...plan.copies];
  const warnings = [...plan.warnings];
  for (const { destination, bind, fallback } of plan.shares) {
    if (fallback === undefined) {
      const why = 'is writable, or large, and shared_fs is "none"';
      throw unsupported({ destination, source: bind.source }, why);
    }
    copies.push(fallback);
    warnings.push(`what the container writes to ${destination} does not reach ${bind.source}`);
  }
  return { copies, shares: [], warnings };
}

/**
 * Size of the tmpfs that the container is to see as /dev/shm, where that is one of the host's; what
 * is mounted by the spec itself has its own size.
 */
export function sharedMemoryBytes(spec: OciSpec): number | undefined {
  const mount = spec.mounts?.find(({ destination }) => destination === "/dev/shm");
  if (mount?.source === undefined || !isBind(mount) || mount.source === "/dev/shm")
    return undefined;
  try {
    const { type, blocks, bsize } = statfsSync(mount.source);
    return type === TMPFS_MAGIC && blocks > 0 ? blocks * bsize : undefined;
  } catch {
    return undefined;
  }
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
    {
      hint: 'mount a file or a directory; where shared_fs = "none", small ones only, and directories read-only',
    },
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
