// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { systemCall } from "./system-call.ts";

/** mount(2). */
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
export const MS_BIND = 0x1000;
export const MS_REC = 0x4000;
export const MS_PRIVATE = 0x4_0000;
export const MS_SLAVE = 0x8_0000;
export const MS_SHARED = 0x10_0000;

/** mount_setattr(2). */
export const MOUNT_ATTR_RDONLY = 0x1;
export const MOUNT_ATTR_NOSUID = 0x2;
export const MOUNT_ATTR_NODEV = 0x4;
export const MOUNT_ATTR_NOEXEC = 0x8;
export const MOUNT_ATTR_IDMAP = 0x10_0000;
const MOUNT_ATTR_BYTES = 32;

/** openat(2). */
export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;

/** Numbers of x86-64 and of all newer architectures alike. */
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const SYS_MOUNT_SETATTR = 442;
/** It has no wrapper in the C library. */
const SYS_PIVOT_ROOT: Partial<Record<NodeJS.Architecture, number>> = { x64: 155, arm64: 41 };

const openTreeCall = systemCall(
  "long syscall(long number, long directory, const char *path, unsigned int flags)",
  "open_tree",
);
const setAttributesCall = systemCall(
  "long syscall(long number, long directory, const char *path, unsigned int flags, void *attributes, size_t size)",
  "mount_setattr",
);
const moveMountCall = systemCall(
  "long syscall(long number, long from, const char *fromPath, long to, const char *toPath, unsigned int flags)",
  "move_mount",
);
const pivotRootCall = systemCall(
  "long syscall(long number, const char *root, const char *old)",
  "pivot_root",
);

export const mount = systemCall(
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
);

/** A descriptor of what is mounted at `path`. */
export function openTree(path: string, flags: number): number {
  return openTreeCall(SYS_OPEN_TREE, AT_FDCWD, path, flags);
}

/** Attaches a detached mount. */
export function moveMount(from: number, target: string): void {
  const fromItself = 4;
  moveMountCall(SYS_MOVE_MOUNT, from, "", AT_FDCWD, target, fromItself);
}

/** Of one mount, or with `AT_RECURSIVE` of all that is below it, too. Linux 5.12. */
export function setMountAttributes(
  place: { directory?: number; path: string; flags: number },
  change: { set: number; clear?: number; propagation?: number; userNamespace?: number },
): void {
  const attributes = Buffer.alloc(MOUNT_ATTR_BYTES);
  attributes.writeBigUInt64LE(BigInt(change.set), 0);
  attributes.writeBigUInt64LE(BigInt(change.clear ?? 0), 8);
  attributes.writeBigUInt64LE(BigInt(change.propagation ?? 0), 16);
  attributes.writeBigUInt64LE(BigInt(change.userNamespace ?? 0), 24);
  const { directory = AT_FDCWD, path, flags } = place;
  setAttributesCall(SYS_MOUNT_SETATTR, directory, path, flags, attributes, MOUNT_ATTR_BYTES);
}

/** Makes the current directory, a mount, the root; the old root then lies on top of it. */
export function pivotRootHere(): void {
  const number = SYS_PIVOT_ROOT[process.arch];
  if (number === undefined) {
    throw new MukonError("FFI_UNAVAILABLE", `pivot_root is not known on ${process.arch}`);
  }
  pivotRootCall(number, ".", ".");
}
