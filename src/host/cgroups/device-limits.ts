// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { countPrograms } from "../../linux/bpf.ts";
import { DEVICE_PROGRAM } from "./device-program.ts";
import { type CgroupHierarchy, cgroupHierarchies } from "./hierarchies.ts";

/** `few`: its cgroup has rules for devices, or a program; `any`: whatever a node leads it to. */
export type DeviceLimits = "few" | "any";

/** What the kernel has in force for a process' own cgroups, whoever has put it there. */
export function deviceLimitsOf(pid: number, hierarchies = cgroupHierarchies()): DeviceLimits {
  const cgroups = readText(`/proc/${pid}/cgroup`).split("\n");
  return hierarchies.some((hierarchy) => isLimited(hierarchy, cgroups)) ? "few" : "any";
}

function isLimited({ version, isDevices, mountPoint }: CgroupHierarchy, cgroups: string[]) {
  if (version === 1 && !isDevices) return false;
  const line = version === 2 ? /^0::(\/.+)$/ : /^\d+:(?:[^:]*,)?devices(?:,[^:]*)?:(\/.+)$/;
  const path = cgroups.map((text) => line.exec(text)?.[1]).find((found) => found !== undefined);
  if (path === undefined) return false;
  const directory = join(mountPoint, path);
  if (version === 2) return hasProgram(directory);
  const rules = readText(join(directory, "devices.list"));
  return rules !== "" && !/^a /m.test(rules);
}

function hasProgram(directory: string): boolean {
  let cgroup: number | undefined;
  try {
    cgroup = openSync(directory, "r");
    return countPrograms(cgroup, DEVICE_PROGRAM.attachType) > 0;
  } catch {
    // It has gone, or this may not be asked.
    return false;
  } finally {
    if (cgroup !== undefined) closeSync(cgroup);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
