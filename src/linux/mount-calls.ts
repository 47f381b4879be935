// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { systemCall } from "./system-call.ts";

/** unshare(2), setns(2). */
export const NEW_MOUNTS = 0x0002_0000;
export const NEW_PIDS = 0x2000_0000;
/** Root, working directory and umask of this thread alone. */
export const OWN_DIRECTORIES = 0x200;

/** mount(2). */
export const MS_NOSUID = 0x2;
export const MS_NODEV = 0x4;
export const MS_NOEXEC = 0x8;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x4_0000;

/** mount_setattr(2). */
export const ATTRIBUTE_READ_ONLY = 0x1;
export const ATTRIBUTE_NO_SUID = 0x2;
export const ATTRIBUTE_NO_DEVICES = 0x4;
const AT_FDCWD = -100;
const AT_RECURSIVE = 0x8000;
const MOUNT_SETATTR = 442;
const ATTRIBUTES_BYTES = 32;

/** It has no wrapper in the C library. */
const PIVOT_ROOT: Partial<Record<NodeJS.Architecture, number>> = { x64: 155, arm64: 41 };

const mountCall = systemCall(
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
);
const setAttributes = systemCall(
  "long syscall(long number, int directory, const char *path, unsigned int flags, void *attributes, size_t size)",
);
const pivot = systemCall("long syscall(long number, const char *root, const char *old)");

/** What follows holds for the calling thread alone: see unshare(2) and setns(2). */
export const unshare = systemCall("int unshare(int flags)");
export const setNamespace = systemCall("int setns(int fd, int type)");
export const changeDirectory = systemCall("int fchdir(int fd)");
export const changeRoot = systemCall("int chroot(const char *path)");

/** Nothing that is mounted from now on comes into, or goes out of, this mount namespace. */
export function makeMountsPrivate(): void {
  mountCall("none", "/", null, MS_REC | MS_PRIVATE, null);
}

export function mountFileSystem(
  type: "tmpfs" | "proc",
  target: string,
  options: { flags: number; data: string },
): void {
  mountCall(type, target, type, options.flags, options.data);
}

/** Shows a file or directory in a second place; what is mounted below it is left out. */
export function bindMount(source: string, target: string): void {
  mountCall(source, target, null, MS_BIND, null);
}

/** For a mount and all that is below it. Linux 5.12. */
export function restrictMounts(path: string, attributes: number): void {
  const wanted = Buffer.alloc(ATTRIBUTES_BYTES);
  wanted.writeBigUInt64LE(BigInt(attributes), 0);
  setAttributes(MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, wanted, ATTRIBUTES_BYTES);
}

/** Makes the current directory, a mount, the root; the old root then lies on top of it. */
export function pivotRootHere(): void {
  const number = PIVOT_ROOT[process.arch];
  if (number === undefined) {
    throw new MukonError("FFI_UNAVAILABLE", `pivot_root is not known on ${process.arch}`);
  }
  pivot(number, ".", ".");
}
