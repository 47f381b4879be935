// SPDX-License-Identifier: Apache-2.0
import { readFileSync, type Stats, statSync } from "node:fs";
import {
  listThreads,
  type ProcessStatus,
  readDescriptors,
  readProcessStatus,
} from "../../src/linux/process-status.ts";

const ACCESS_MODE = 0o3;

export interface OpenDescriptor {
  fd: number;
  target: string;
  isWritable: boolean;
  status: Stats;
}

/** What the kernel says of every thread of a process; none of one that has ended. */
export function threadsOf(pid: number): ProcessStatus[] {
  return listThreads(pid)
    .map((thread) => readProcessStatus(pid, thread))
    .filter((status) => status !== undefined)
    .filter(({ state }) => state !== "Z");
}

export function environmentOf(pid: number): string {
  return readFileSync(`/proc/${pid}/environ`, "utf8");
}

/** Most memory that a process ever had, in MiB; 0 when it has ended. */
export function peakMemoryMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
}

export function descriptorsOf(pid: number): OpenDescriptor[] {
  return [...readDescriptors(pid)].flatMap(([fd, target]): OpenDescriptor[] => {
    try {
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
      const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "", 8);
      const status = statSync(`/proc/${pid}/fd/${fd}`);
      return [{ fd, target, isWritable: (flags & ACCESS_MODE) !== 0, status }];
    } catch {
      // Closed since.
      return [];
    }
  });
}

/** Whether a descriptor leads to a file or device that the host has under a name. */
export function isHostFile({ status, target }: OpenDescriptor): boolean {
  const isFile = status.isFile() || status.isBlockDevice() || status.isCharacterDevice();
  return isFile && status.nlink > 0 && target.startsWith("/");
}
