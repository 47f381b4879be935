// SPDX-License-Identifier: Apache-2.0
import { totalmem } from "node:os";

const BYTES_PER_MIB = 1024 * 1024;
const MIB_PER_GIB = 1024;
/** What Linux on x86 switches on at once (MIN_MEMORY_BLOCK_SIZE): less of it cannot be added. */
const BLOCK_MIB = 128;
/** From here on the blocks of Linux are larger, by how much depends on the machine. */
const MOST_BASE_MIB = 64 * MIB_PER_GIB;
/** Physical addresses of emulated processors end at a tebibyte. */
const MOST_MIB = 512 * MIB_PER_GIB;

/** How a pod comes by its memory. */
export interface PodMemory {
  /** What the machine begins with: as large as that of all other pods, if it can be. */
  baseMib: number;
  /** What is plugged in once the guest runs. */
  extraMib: number;
}

/**
 * Divides a pod's memory, so that pods of different sizes can begin from one template. A pod that
 * is smaller than the configuration's begins with what it has.
 */
export function podMemory(options: {
  /** Of the configuration's files. */
  configuredMib: number;
  /** Of this pod. */
  wantedMib: number;
  /** See {@link mostMemoryMib}. */
  mostMib: number;
}): PodMemory {
  const { configuredMib, wantedMib, mostMib } = options;
  const isDivided = wantedMib > configuredMib && configuredMib < MOST_BASE_MIB;
  const extraMib = Math.ceil((wantedMib - configuredMib) / BLOCK_MIB) * BLOCK_MIB;
  if (!isDivided || extraMib > mostMib) return { baseMib: wantedMib, extraMib: 0 };
  return { baseMib: configuredMib, extraMib };
}

/** What a machine may grow to; the same for all pods of this host, as it is part of the machine. */
export function mostMemoryMib(): number {
  const hostMib = Math.ceil(totalmem() / BYTES_PER_MIB / MIB_PER_GIB) * MIB_PER_GIB;
  return Math.min(hostMib, MOST_MIB);
}
