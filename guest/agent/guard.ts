// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

export interface Surroundings {
  readonly pid: number;
  readonly parentPid: number;
  readonly cpuInfo: string;
  readonly hasAgentPort: boolean;
}

/**
 * The agent takes the machine it runs on for its own: it mounts, kills and moves cgroups. So it
 * runs only where it is surely meant to: in a VM, next to PID 1, with its port plugged in.
 * @returns the reason not to run
 */
export function reasonNotToRun(surroundings: Surroundings): string | undefined {
  const { pid, parentPid, cpuInfo, hasAgentPort } = surroundings;
  if (pid !== 1 && parentPid !== 1) return "its parent is not PID 1";
  if (!/^flags\s*:.*\bhypervisor\b/m.test(cpuInfo)) return "this machine is not virtual";
  if (!hasAgentPort) return "this machine has no port to the host for the agent";
  return undefined;
}

export function readCpuInfo(): string {
  return readFileSync("/proc/cpuinfo", "utf8");
}
