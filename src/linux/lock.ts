// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../errors/mukon-error.ts";
import { SystemCallError, systemCall } from "./system-call.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const POLL_MS = 20;
const DEFAULT_TIMEOUT_MS = 10 * 60_000;

const flock = systemCall("int flock(int fd, int operation)");

/**
 * Runs `work` while holding the file's lock (flock(2)); the kernel gives it back when its holder
 * dies. The file is made when it is missing, and stays. A program that is given the descriptor holds the
 * lock too, until it ends: also when the one that has started it is killed meanwhile.
 * @throws LOCK_TIMEOUT when another process keeps it for longer than `timeoutMs`
 */
export async function withLock<Result>(
  path: string,
  work: (descriptor: number) => Promise<Result> | Result,
  options: { timeoutMs?: number } = {},
): Promise<Result> {
  const descriptor = openSync(path, "a", 0o600);
  try {
    await acquire(descriptor, path, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return await work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Asks again and again: a call that waits would hold up this program's only thread. */
async function acquire(descriptor: number, path: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      flock(descriptor, LOCK_EX | LOCK_NB);
      return;
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errorName !== "EAGAIN") throw error;
    }
    if (Date.now() >= deadline) {
      throw new MukonError("LOCK_TIMEOUT", `another process has held ${path} for ${timeoutMs} ms`, {
        hint: `see which one: fuser -v ${path}`,
      });
    }
    await sleep(POLL_MS);
  }
}
