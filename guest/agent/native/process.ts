// SPDX-License-Identifier: Apache-2.0
import { call, libc } from "./libc.ts";

const WAITPID = "int waitpid(int pid, void *status, int options)";
const NO_HANG = 1;
const SET_CHILD_SUBREAPER = 36;

/** Orphans of containers become children of the agent, which then gets their exit codes. */
export function becomeSubreaper(): void {
  const prctl =
    "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)";
  call(prctl, SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/** The status word of a child that ended, and takes it from the process table. */
export function reap(pid: number): number | "runs" | "no child" {
  const status = Buffer.alloc(4);
  const result = Number(libc(WAITPID)(pid, status, NO_HANG));
  if (result === pid) return status.readInt32LE(0);
  return result === 0 ? "runs" : "no child";
}

/** As shells say it: the exit code, or 128 and the signal that killed. */
export function exitCodeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}
