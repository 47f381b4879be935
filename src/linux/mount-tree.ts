// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_RDONLY,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  mount,
  moveMount,
  openTree,
  setMountAttributes,
} from "./mount-calls.ts";
import { SystemCallError } from "./system-call.ts";

const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;

export interface BindOptions {
  /** Descriptor of the user namespace that ids are mapped by; none: they are as on disk. */
  userNamespace?: number;
  readOnly?: boolean;
  /** With all that is mounted below. */
  isRecursive?: boolean;
}

/**
 * Shows a file or directory at another place (open_tree(2), mount_setattr(2), move_mount(2)): without
 * device nodes, and apart from what is mounted below the source later.
 * @throws SystemCallError whose call says which step failed; with `userNamespace`, EINVAL of
 *   mount_setattr means that the file system, or one mounted below, cannot map ids
 */
export function bindMount(source: string, target: string, options: BindOptions = {}): void {
  const tree = cloneTree(source, options);
  try {
    moveMount(tree, target);
  } finally {
    closeSync(tree);
  }
}

/** Why a directory's ids could not be mapped, such as "EINVAL"; undefined: they can be. */
export function tryMapIds(directory: string, userNamespace: number): string | undefined {
  try {
    closeSync(cloneTree(directory, { userNamespace }));
    return undefined;
  } catch (error) {
    if (error instanceof SystemCallError) return error.errorName;
    throw error;
  }
}

/** A mount that is not attached anywhere; the caller closes it. */
function cloneTree(source: string, options: BindOptions): number {
  const depth = options.isRecursive === true ? AT_RECURSIVE : 0;
  const tree = openTree(source, OPEN_TREE_CLONE | O_CLOEXEC | depth);
  try {
    const set =
      MOUNT_ATTR_NODEV |
      (options.readOnly === true ? MOUNT_ATTR_RDONLY : 0) |
      (options.userNamespace === undefined ? 0 : MOUNT_ATTR_IDMAP);
    setMountAttributes(
      { directory: tree, path: "", flags: AT_EMPTY_PATH | depth },
      { set, propagation: MS_PRIVATE, userNamespace: options.userNamespace ?? 0 },
    );
    return tree;
  } catch (error) {
    closeSync(tree);
    throw error;
  }
}

/** A tmpfs for nothing but directories and mount points; `data` as in tmpfs(5). */
export function mountTmpfs(target: string, data: string): void {
  mount("mukon", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, data);
}

/**
 * From here on, what is mounted below is seen by those mount namespaces that are made from this
 * one later, and by no others.
 */
export function shareMount(target: string): void {
  mount("none", target, "", MS_PRIVATE | MS_REC, "");
  mount("none", target, "", MS_SHARED, "");
}

/**
 * Mounts an overlay whose layers are named relative to `directory`: the kernel takes one page of
 * options only. The working directory is another for the moment.
 */
export function mountOverlay(options: { directory: string; target: string; data: string }): void {
  const before = process.cwd();
  process.chdir(options.directory);
  try {
    mount("overlay", options.target, "overlay", MS_NODEV, options.data);
  } finally {
    process.chdir(before);
  }
}
