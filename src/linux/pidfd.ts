// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isSameProcess } from "./process-status.ts";
import { SystemCallError, systemCall } from "./system-call.ts";

/** Numbers of x86-64 and of all newer architectures alike. */
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const POLL_MS = 5;

const syscall = systemCall("long syscall(long number, long a, long b, long c, long d)");

/** A process, named for good: pids are used again. */
export interface ProcessHandle {
  pid: number;
  startTime: bigint;
}

/**
 * Sends a signal to exactly this process; false when it is gone. The descriptor is taken first and
 * the start time compared then, so that a pid used again cannot come between (pidfd_open(2)).
 */
export function killProcess(target: ProcessHandle, signal: NodeJS.Signals | number): boolean {
  const number = typeof signal === "number" ? signal : constants.signals[signal];
  let descriptor: number;
  try {
    descriptor = syscall(SYS_PIDFD_OPEN, target.pid, 0, 0, 0);
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
  try {
    if (!isSameProcess(target.pid, target.startTime)) return false;
    syscall(SYS_PIDFD_SEND_SIGNAL, descriptor, number, 0, 0);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Whether the process was gone (or a zombie) before the time was over. */
export async function waitProcessGone(target: ProcessHandle, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isSameProcess(target.pid, target.startTime)) {
    if (Date.now() >= deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function isGone(error: unknown): boolean {
  return (
    error instanceof SystemCallError &&
    (error.errorName === "ESRCH" || error.errorName === "EINVAL")
  );
}
