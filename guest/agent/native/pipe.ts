// SPDX-License-Identifier: Apache-2.0
import { call, libc } from "./libc.ts";

const CLOSE_ON_EXEC = 0o2000000;
const SET_PIPE_SIZE = 1031;
/** The most that the kernel gives; a fuller pipe means fewer, larger reads. */
const PIPE_BYTES = 1 << 20;

export interface Pipe {
  readonly readFd: number;
  readonly writeFd: number;
}

/**
 * A real pipe: those that Node makes for children are sockets, and a program in a container cannot
 * open `/dev/stdout` when that is a socket.
 */
export function createPipe(): Pipe {
  const ends = [-1, -1];
  call("int pipe2(_Out_ int *ends, int flags)", ends, CLOSE_ON_EXEC);
  const [readFd = -1, writeFd = -1] = ends;
  libc("int fcntl(int fd, int command, int value)")(writeFd, SET_PIPE_SIZE, PIPE_BYTES);
  return { readFd, writeFd };
}
