// SPDX-License-Identifier: Apache-2.0
import { systemCall } from "./system-call.ts";

const O_CLOEXEC = 0o2000000;

const pipe2 = systemCall("int pipe2(void *ends, int flags)");

/** The ends of a pipe, close-on-exec; the caller's to close. */
export interface Pipe {
  readFd: number;
  writeFd: number;
}

/** A pipe, where programs expect one: what Node gives its children are sockets. pipe(2) */
export function makePipe(): Pipe {
  const ends = Buffer.alloc(8);
  pipe2(ends, O_CLOEXEC);
  return { readFd: ends.readInt32LE(0), writeFd: ends.readInt32LE(4) };
}
