// SPDX-License-Identifier: Apache-2.0
import { chownSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { makeCharacterNode, type NodeNumbers } from "../../linux/device-node.ts";
import {
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  mount,
  setMountAttributes,
} from "../../linux/mount-calls.ts";
import { unmount } from "../../linux/mounts.ts";
import { inMountNamespaceOf } from "../../linux/thread-namespaces.ts";
import { JAIL_ROOT } from "../jail/types.ts";
import type { VfioGroup } from "./group.ts";

/** Where QEMU looks for them, and cannot be told otherwise. */
export const VFIO_DIRECTORY = "/dev/vfio";
/**
 * The node of all groups together, which gives nothing by itself: it is open to all on the host. Its
 * number is the same everywhere (VFIO_MINOR of linux/miscdevice.h).
 */
const CONTAINER = { name: "vfio", node: { major: 10, minor: 196 } };

/** All that a VMM opens to use these groups. */
export function nodesOf(groups: readonly VfioGroup[]): NodeNumbers[] {
  return groups.length === 0 ? [] : [CONTAINER.node, ...groups.map(({ node }) => node)];
}

/**
 * Puts the nodes of these groups, and of no others, into the jail of a VMM that runs. They are made for
 * it: the pod's user owns them, the host's own stay as they are, and they are gone with the jail. Beside
 * each is what QEMU wants to know of a device, which it would read from /sys.
 * @throws the system's error
 */
export function showVfioGroups(
  vmmPid: number,
  options: { groups: readonly VfioGroup[]; owner: { uid: number; gid: number } },
): void {
  const { groups, owner } = options;
  inMountNamespaceOf(vmmPid, () => {
    const directory = join(JAIL_ROOT, VFIO_DIRECTORY);
    if (existsSync(directory)) unmount(directory, { lazy: true });
    else makeMountPoint(directory);
    if (groups.length === 0) return;
    mount("mukon", directory, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k");
    const addNode = (name: string, numbers: VfioGroup["node"]): void => {
      makeCharacterNode(join(directory, name), numbers);
      chownSync(join(directory, name), owner.uid, owner.gid);
    };
    addNode(CONTAINER.name, CONTAINER.node);
    for (const { number, node, addresses } of groups) {
      addNode(String(number), node);
      for (const address of addresses) {
        mkdirSync(join(directory, address));
        symlinkSync(`../${number}`, join(directory, address, "iommu_group"));
      }
    }
    const set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    setMountAttributes({ path: directory, flags: 0 }, { set, propagation: MS_PRIVATE });
  });
}

/** The jail's own root is read-only for all who see it; root alone could write there anyway. */
function makeMountPoint(directory: string): void {
  const root = { path: JAIL_ROOT, flags: 0 };
  setMountAttributes(root, { set: 0, clear: MOUNT_ATTR_RDONLY });
  try {
    mkdirSync(directory);
  } finally {
    setMountAttributes(root, { set: MOUNT_ATTR_RDONLY });
  }
}
