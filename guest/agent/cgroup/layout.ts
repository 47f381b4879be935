// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { warn } from "../log.ts";

export const CGROUP_ROOT = "/sys/fs/cgroup";
const AGENT = "agent";
const CONTAINERS = "containers";
const CONTROLLERS = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"];

const MIB = 1024 * 1024;
/** What agent, crun and kernel need while the containers fill all that is theirs. */
const RESERVED_BYTES = 80 * MIB;
const MAX_RESERVED_SHARE = 0.25;
const AGENT_MEMORY_BYTES = 64 * MIB;
const HIGHEST_CPU_WEIGHT = 10_000;
/** For the agent's own threads, crun, and the kernel's. */
const RESERVED_TASKS = 512;

export function containerCgroup(containerId: string): string {
  return join(CGROUP_ROOT, CONTAINERS, containerId);
}

/** As crun wants it: below the root of the cgroup file system. */
export function cgroupsPathOf(containerId: string): string {
  return `/${CONTAINERS}/${containerId}`;
}

/**
 * Puts the agent into a cgroup of its own, and a lid on all containers together, so that one that
 * forks without end or fills the memory meets its limit before the agent does.
 */
export function prepareCgroups(root = CGROUP_ROOT): void {
  for (const name of [AGENT, CONTAINERS]) mkdirSync(join(root, name), { recursive: true });
  enableControllers(root);
  enableControllers(join(root, CONTAINERS));
  set(join(root, AGENT, "cgroup.procs"), process.pid);
  set(join(root, AGENT, "memory.min"), AGENT_MEMORY_BYTES);
  set(join(root, AGENT, "cpu.weight"), HIGHEST_CPU_WEIGHT);
  set(join(root, CONTAINERS, "pids.max"), taskLimit());
  limitContainersMemory(root);
}

/** Again after memory was added to the guest. */
export function limitContainersMemory(root = CGROUP_ROOT): void {
  const total = totalMemory(readFileSync("/proc/meminfo", "utf8"));
  set(join(root, CONTAINERS, "memory.max"), containersMemory(total));
}

export function containersMemory(totalBytes: number): number {
  return totalBytes - Math.min(RESERVED_BYTES, Math.floor(totalBytes * MAX_RESERVED_SHARE));
}

export function totalMemory(meminfo: string): number {
  return Number(/^MemTotal:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? 0) * 1024;
}

function taskLimit(): number {
  const read = (name: string) => Number(readFileSync(`/proc/sys/kernel/${name}`, "utf8"));
  const most = Math.min(read("pid_max"), read("threads-max"));
  return Math.max(most - RESERVED_TASKS, Math.floor(most / 2));
}

function enableControllers(directory: string): void {
  const available = readFileSync(join(directory, "cgroup.controllers"), "utf8").trim().split(" ");
  for (const controller of CONTROLLERS) {
    if (available.includes(controller))
      set(join(directory, "cgroup.subtree_control"), `+${controller}`);
  }
}

/** A kernel without one of the knobs still runs containers. */
function set(file: string, value: string | number): void {
  try {
    writeFileSync(file, String(value));
  } catch (error) {
    warn(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
