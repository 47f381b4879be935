// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, writeSync } from "node:fs";
import { AgentError, Status } from "../errors.ts";
import { addressOf, call } from "./libc.ts";

const IOCTL = "int ioctl(int fd, unsigned long request, void *argument)";
const ADD_ENTROPY = 0x40085203;
const RESEED = 0x5207;
/** More than the kernel's pool holds, little enough for one call. */
const MAX_SEED_BYTES = 4096;
const REALTIME = 0;

/**
 * Mixes the host's random bytes into the kernel's pool and has its generator use them at once:
 * a guest that was cloned from a template would else share its random numbers with the others.
 */
export function reseedRandom(seed: Buffer): void {
  if (seed.length === 0 || seed.length > MAX_SEED_BYTES) {
    throw new AgentError(
      Status.invalidArgument,
      `a seed has 1 to ${MAX_SEED_BYTES} bytes, not ${seed.length}`,
    );
  }
  const fd = openSync("/dev/urandom", "r+");
  try {
    writeSync(fd, seed);
    // struct rand_pool_info: bits of entropy, bytes in the buffer, the buffer.
    const pool = Buffer.alloc(8 + seed.length);
    pool.writeInt32LE(seed.length * 8, 0);
    pool.writeInt32LE(seed.length, 4);
    seed.copy(pool, 8);
    call(IOCTL, fd, ADD_ENTROPY, pool);
    call(IOCTL, fd, RESEED, null);
  } finally {
    closeSync(fd);
  }
}

export function setClock(seconds: bigint, microseconds: bigint): void {
  if (seconds < 0n || microseconds < 0n || microseconds >= 1_000_000n) {
    throw new AgentError(Status.invalidArgument, `no time of day: ${seconds} s ${microseconds} µs`);
  }
  const time = Buffer.alloc(16);
  time.writeBigInt64LE(seconds, 0);
  time.writeBigInt64LE(microseconds * 1000n, 8);
  call("int clock_settime(int clock, void *time)", REALTIME, addressOf(time));
}
