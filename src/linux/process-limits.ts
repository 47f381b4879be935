// SPDX-License-Identifier: Apache-2.0
import { systemCall } from "./system-call.ts";

/** asm-generic/resource.h */
const RLIMIT_MEMLOCK = 8;

const prlimit = systemCall("int prlimit(int pid, int resource, void *wanted, void *former)");

/** How much memory another process may keep from being moved or swapped out. @throws SystemCallError */
export function setLockedMemoryLimit(pid: number, bytes: number): void {
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(BigInt(bytes), 0);
  limit.writeBigUInt64LE(BigInt(bytes), 8);
  prlimit(pid, RLIMIT_MEMLOCK, limit, null);
}
