// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { SystemCallError, systemCall } from "./system-call.ts";

/** Numbers of x86-64 and of all newer architectures alike. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const MOUNT_ATTR_RDONLY = 0x1;
const MOUNT_ATTR_NODEV = 0x4;
const MOUNT_ATTR_IDMAP = 0x100000;
/** struct mount_attr of mount_setattr(2). */
const MOUNT_ATTR_BYTES = 32;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REC = 0x4000;
const MS_PRIVATE = 1 << 18;
const MS_SHARED = 1 << 20;

const openTree = systemCall(
  "long syscall(long number, long directory, const char *path, unsigned int flags)",
  "open_tree",
);
const mountSetattr = systemCall(
  "long syscall(long number, long directory, const char *path, unsigned int flags, void *attributes, size_t size)",
  "mount_setattr",
);
const moveMount = systemCall(
  "long syscall(long number, long from, const char *fromPath, long to, const char *toPath, unsigned int flags)",
  "move_mount",
);
const mount = systemCall(
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
);

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
    moveMount(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
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
  const tree = openTree(SYS_OPEN_TREE, AT_FDCWD, source, OPEN_TREE_CLONE | O_CLOEXEC | depth);
  try {
    const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
    const set =
      MOUNT_ATTR_NODEV |
      (options.readOnly === true ? MOUNT_ATTR_RDONLY : 0) |
      (options.userNamespace === undefined ? 0 : MOUNT_ATTR_IDMAP);
    attributes.writeBigUInt64LE(BigInt(set), 0);
    attributes.writeBigUInt64LE(BigInt(MS_PRIVATE), 16);
    attributes.writeBigUInt64LE(BigInt(options.userNamespace ?? 0), 24);
    const flags = AT_EMPTY_PATH | depth;
    mountSetattr(SYS_MOUNT_SETATTR, tree, "", flags, attributes, MOUNT_ATTR_BYTES);
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
