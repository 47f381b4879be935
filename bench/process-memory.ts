// SPDX-License-Identifier: Apache-2.0
import { readFileSync, statSync } from "node:fs";
import { readDescriptors } from "../src/linux/process-status.ts";

const BYTES_PER_KIB = 1024;
const BYTES_PER_BLOCK = 512;

/** In bytes. */
export interface MemoryUse {
  /** All pages that the processes have mapped, each divided by the number of processes that have it. */
  proportional: number;
  /** Those that nobody else has: what is free again when the process ends. */
  private: number;
  /** Of the former, what is no file of a disk, so that the kernel cannot drop it. */
  kept: number;
  /** Pages of files in memory (memfd_create(2)), of which nobody has mapped all. */
  files: number;
}

/** What processes that run at the same time have in memory (proc_pid_smaps(5)). */
export function memoryOf(pids: readonly number[]): MemoryUse {
  const use: MemoryUse = { proportional: 0, private: 0, kept: 0, files: memoryFiles(pids) };
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    use.proportional += bytes(text, "Pss");
    use.kept += bytes(text, "Pss_Anon") + bytes(text, "Pss_Shmem");
    use.private += bytes(text, "Private_Clean") + bytes(text, "Private_Dirty");
  }
  return use;
}

function bytes(text: string, name: string): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
  if (kib === undefined) throw new Error(`the kernel does not say ${name}`);
  return Number(kib) * BYTES_PER_KIB;
}

/** Each file is counted once, whoever has it open. */
function memoryFiles(pids: readonly number[]): number {
  const files = new Map<string, number>();
  for (const pid of pids) {
    for (const [fd, target] of readDescriptors(pid)) {
      if (!target.startsWith("/memfd:")) continue;
      const { dev, ino, blocks } = statSync(`/proc/${pid}/fd/${fd}`);
      files.set(`${dev}:${ino}`, blocks * BYTES_PER_BLOCK);
    }
  }
  return [...files.values()].reduce((total, size) => total + size, 0);
}

/** What the whole machine could still give to somebody (proc_meminfo(5)), in bytes. */
export function availableMemory(): number {
  return bytes(readFileSync("/proc/meminfo", "utf8"), "MemAvailable");
}
