// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync } from "node:fs";
import { addressOf, call } from "./libc.ts";

/** openat2(2), which the C library has no function for; the same number on all architectures. */
const OPENAT2 = 437;
const OPENAT2_PROTOTYPE =
  "long syscall(long number, long directory, const char *path, uint64_t how, long size)";
const CLOSE_ON_EXEC = 0o2000000;
const PATH_ONLY = 0o10000000;
const RESOLVE_NO_MAGIC_LINKS = 0x02n;
const RESOLVE_IN_ROOT = 0x10n;
const HOW_BYTES = 24;

/**
 * Opens a file for reading as a process with that root would find it: links, absolute ones too,
 * begin at `root`, and nothing that the other side does meanwhile leads out of it. Never waits,
 * whatever the file is.
 */
export function openInside(root: string, path: string): number {
  const directory = openSync(root, PATH_ONLY | constants.O_DIRECTORY);
  try {
    const how = Buffer.alloc(HOW_BYTES);
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | CLOSE_ON_EXEC;
    how.writeBigUInt64LE(BigInt(flags), 0);
    how.writeBigUInt64LE(RESOLVE_IN_ROOT | RESOLVE_NO_MAGIC_LINKS, 16);
    return call(OPENAT2_PROTOTYPE, OPENAT2, directory, path, addressOf(how), HOW_BYTES);
  } finally {
    closeSync(directory);
  }
}
