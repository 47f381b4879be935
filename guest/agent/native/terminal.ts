// SPDX-License-Identifier: Apache-2.0
import { addressOf, call, libc } from "./libc.ts";

const IOCTL = "int ioctl(int fd, unsigned long request, void *argument)";
const RECEIVE = "int64_t recvmsg(int fd, void *message, int flags)";
const SET_WINDOW_SIZE = 0x5414;
const DO_NOT_WAIT = 0x40;
const CLOSE_ON_EXEC = 0x40000000;
const SCM_RIGHTS = 1;
const CONTROL_BYTES = 64;
const FIRST_DESCRIPTOR_OFFSET = 16;

export function setWindowSize(fd: number, rows: number, columns: number): void {
  const size = Buffer.alloc(8);
  size.writeUInt16LE(Math.min(rows, 0xffff), 0);
  size.writeUInt16LE(Math.min(columns, 0xffff), 2);
  call(IOCTL, fd, SET_WINDOW_SIZE, size);
}

/** The terminal that crun sends over its console socket; `undefined` when it is not there yet. */
export function receiveDescriptor(socketFd: number): number | undefined {
  const data = Buffer.alloc(4096);
  const control = Buffer.alloc(CONTROL_BYTES);
  const vector = Buffer.alloc(16);
  const header = Buffer.alloc(56);
  vector.writeBigUInt64LE(addressOf(data), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
  const count = Number(libc(RECEIVE)(socketFd, header, DO_NOT_WAIT | CLOSE_ON_EXEC));
  if (count <= 0) return undefined;
  const isDescriptor = header.readBigUInt64LE(40) >= 20n && control.readInt32LE(12) === SCM_RIGHTS;
  return isDescriptor ? control.readInt32LE(FIRST_DESCRIPTOR_OFFSET) : undefined;
}
