// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CGROUP_ROOT } from "../../linux/cgroup-mode.ts";
import { listMounts, type Mount } from "../../linux/mounts.ts";

/** One tree of cgroups: version 2's, or one that some controllers of version 1 have. */
export interface CgroupHierarchy {
  mountPoint: string;
  version: 1 | 2;
  /** A group takes no process before it has been given processors and memory nodes. */
  isCpuset: boolean;
  /** Of version 1: it says which devices may be opened. Version 2 has programs for that. */
  isDevices: boolean;
}

/** The trees of this host; the same one that is mounted twice counts once. */
export function cgroupHierarchies(mounts: readonly Mount[] = listMounts()): CgroupHierarchy[] {
  return mounts
    .filter(({ mountPoint }) => `${mountPoint}/`.startsWith(`${CGROUP_ROOT}/`))
    .flatMap(({ fileSystem, mountPoint }): CgroupHierarchy[] => {
      if (fileSystem === "cgroup2") {
        return [{ mountPoint, version: 2, isCpuset: false, isDevices: false }];
      }
      if (fileSystem !== "cgroup") return [];
      const controllers = mountPoint.split("/").at(-1)?.split(",") ?? [];
      const isCpuset = controllers.includes("cpuset");
      return [{ mountPoint, version: 1, isCpuset, isDevices: controllers.includes("devices") }];
    });
}

/** Takes a new group into use: what its parent has goes for it too. */
export function prepareCgroup(hierarchy: CgroupHierarchy, directory: string): void {
  if (hierarchy.isCpuset) {
    for (const name of ["cpuset.cpus", "cpuset.mems"]) {
      const file = join(directory, name);
      if (readFileSync(file, "utf8").trim() !== "") continue;
      writeFileSync(file, readFileSync(join(dirname(directory), name), "utf8"));
    }
  }
  if (hierarchy.version === 2) passControllersOn(dirname(directory));
}

/** Of version 2: a group accounts for what its parent passes on; not all of them can be, always. */
function passControllersOn(parent: string): void {
  const controllers = readFileSync(join(parent, "cgroup.controllers"), "utf8").split(/\s+/);
  const passedOn = readFileSync(join(parent, "cgroup.subtree_control"), "utf8").split(/\s+/);
  for (const name of controllers) {
    if (name === "" || passedOn.includes(name)) continue;
    try {
      writeFileSync(join(parent, "cgroup.subtree_control"), `+${name}`);
    } catch {
      // The parent has processes of its own, or real-time ones: the group is there nevertheless.
    }
  }
}
