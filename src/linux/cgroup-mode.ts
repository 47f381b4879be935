// SPDX-License-Identifier: Apache-2.0
import { statfsSync } from "node:fs";
import { join } from "node:path";

export const CGROUP_ROOT = "/sys/fs/cgroup";
/** CGROUP2_SUPER_MAGIC of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270;

/** `hybrid`: version 1's controllers, and version 2 without any, at `unified`. */
export type CgroupMode = "unified" | "hybrid" | "legacy";

/** Which versions of cgroups this host has, told apart as containerd does. cgroups(7) */
export function cgroupMode(root = CGROUP_ROOT): CgroupMode {
  if (isVersion2(root)) return "unified";
  return isVersion2(join(root, "unified")) ? "hybrid" : "legacy";
}

function isVersion2(path: string): boolean {
  try {
    return statfsSync(path).type === CGROUP2_MAGIC;
  } catch {
    return false;
  }
}
