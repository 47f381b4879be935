// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { readField } from "../cgroup/control.ts";
import { limitContainersMemory } from "../cgroup/layout.ts";
import { AgentError, Status } from "../errors.ts";
import type { Infer, Partially } from "../protobuf/field.ts";
import type { GuestDetailsResponse, VolumeStatsResponse } from "../schema/agent.ts";
import { STORAGE_DRIVERS } from "../storage/drivers.ts";
import { checkGuestPath } from "../storage/paths.ts";
import { AGENT_VERSION } from "../version.ts";
import { DEVICE_TYPES } from "./devices.ts";

const CPU_DIRECTORY = "/sys/devices/system/cpu";
const MEMORY_DIRECTORY = "/sys/devices/system/memory";
const PROBE_FILE = join(MEMORY_DIRECTORY, "probe");
const TIMEOUT_MS = 10_000;
const POLL_MS = 20;
/** csi.proto's units. */
const BYTES = 1;
const INODES = 2;

/** Switches on what was plugged in. */
export async function onlineCpusAndMemory(request: {
  wait: boolean;
  nbCpus: number;
  cpuOnly: boolean;
}): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  let online = onlineProcessors(request.nbCpus);
  while (online < request.nbCpus && Date.now() < deadline) {
    await delay(POLL_MS);
    online = onlineProcessors(request.nbCpus);
  }
  if (online < request.nbCpus) {
    throw new AgentError(
      Status.deadlineExceeded,
      `only ${online} of ${request.nbCpus} processors came up`,
    );
  }
  if (request.cpuOnly) return;
  for (const block of numbered(MEMORY_DIRECTORY, "memory")) switchOn(block);
  limitContainersMemory();
}

/**
 * Switches processors on, by their numbers, until so many are in use: there may be others that the
 * kernel knows of, but that are not there, and whose start it waits for in vain.
 * @returns how many are in use
 */
function onlineProcessors(wanted: number): number {
  let count = 0;
  const processors = numbered(CPU_DIRECTORY, "cpu");
  for (const one of processors) if (isOn(one)) count += 1;
  for (const one of processors) {
    if (count >= wanted) break;
    if (isOn(one)) continue;
    switchOn(one);
    count += 1;
  }
  return count;
}

/** What has no switch cannot be switched off. */
function isOn(directory: string): boolean {
  return readField(join(directory, "online")) !== "0";
}

function switchOn(directory: string): void {
  if (!isOn(directory)) writeFileSync(join(directory, "online"), "1");
}

/** Directories such as `cpu3`, in the order of their numbers. */
function numbered(directory: string, kind: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(kind) && /^\d+$/.test(name.slice(kind.length)))
    .sort((one, other) => Number(one.slice(kind.length)) - Number(other.slice(kind.length)))
    .map((name) => join(directory, name));
}

export function addMemory(addresses: readonly bigint[]): void {
  if (!existsSync(PROBE_FILE)) {
    throw new AgentError(Status.failedPrecondition, "this kernel adds no memory by probe");
  }
  for (const address of addresses) writeFileSync(PROBE_FILE, `0x${address.toString(16)}`);
}

export function guestDetails(request: {
  memBlockSize: boolean;
  memHotplugProbe: boolean;
}): Partially<Infer<typeof GuestDetailsResponse>> {
  const blockSize = readField(join(MEMORY_DIRECTORY, "block_size_bytes"));
  return {
    memBlockSizeBytes:
      request.memBlockSize && /^[0-9a-f]+$/.test(blockSize) ? BigInt(`0x${blockSize}`) : 0n,
    supportMemHotplugProbe: request.memHotplugProbe && existsSync(PROBE_FILE),
    agentDetails: {
      version: AGENT_VERSION,
      initDaemon: process.pid === 1,
      deviceHandlers: [...DEVICE_TYPES],
      storageHandlers: [...STORAGE_DRIVERS],
      supportsSeccomp: true,
    },
  };
}

export async function volumeStats(
  path: string,
): Promise<Partially<Infer<typeof VolumeStatsResponse>>> {
  const stats = await statfs(checkGuestPath(path, "volume"), { bigint: true });
  const usage = (total: bigint, free: bigint, available: bigint, unit: number) => ({
    total,
    available,
    used: total - free,
    unit,
  });
  const { bsize, blocks, bfree, bavail, files, ffree } = stats;
  return {
    usage: [
      usage(blocks * bsize, bfree * bsize, bavail * bsize, BYTES),
      usage(files, ffree, ffree, INODES),
    ],
    volumeCondition: { abnormal: false, message: "OK" },
  };
}
