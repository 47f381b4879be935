// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import { loadKoffi } from "./koffi-loader.ts";
import { SystemCallError, systemCall } from "./system-call.ts";

/** Layouts of 64-bit Linux: msghdr(3type), cmsg(3). */
const IOVEC_BYTES = 16;
const MSGHDR_BYTES = 56;
const CMSG_HEADER_BYTES = 16;
const FD_BYTES = 4;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 0x8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const O_NONBLOCK = 0o4000;
/** SCM_MAX_FD of the kernel. */
const MAX_DESCRIPTORS = 253;

const sendmsg = systemCall("int64_t sendmsg(int fd, void *message, int flags)");
const recvmsg = systemCall("int64_t recvmsg(int fd, void *message, int flags)");
const socketpair = systemCall("int socketpair(int domain, int type, int protocol, void *pair)");
const fcntl = systemCall("int fcntl(int fd, int command, int argument)");

/**
 * Sends `payload` (at least one byte) with descriptors attached, without blocking; the caller keeps
 * its own copies open. unix(7), SCM_RIGHTS.
 * @throws SystemCallError (`errorName` "EAGAIN": the socket is full, nothing was sent), or
 *   DESCRIPTORS_NOT_SENT when it takes a part only
 */
export function sendDescriptors(socketFd: number, payload: Buffer, fds: readonly number[]): void {
  if (payload.length === 0 || fds.length > MAX_DESCRIPTORS) {
    throw new MukonError(
      "DESCRIPTORS_NOT_SENT",
      `cannot send ${fds.length} descriptors with ${payload.length} bytes`,
    );
  }
  const control = fds.length === 0 ? Buffer.alloc(0) : rightsMessage(fds);
  const header = messageHeader(payload, control);
  const sent = withBuffers(() => sendmsg(socketFd, header, MSG_DONTWAIT | MSG_NOSIGNAL));
  if (sent !== payload.length) {
    throw new MukonError(
      "DESCRIPTORS_NOT_SENT",
      `only ${sent} of ${payload.length} bytes were sent`,
    );
  }
}

export interface ReceivedDescriptors {
  /** Empty: the other side has closed the connection. */
  payload: Buffer;
  /** Close-on-exec; the caller's to close. */
  fds: number[];
}

/**
 * Takes one message with its descriptors, without blocking. Undefined: there is none now.
 * @throws DESCRIPTORS_TRUNCATED when there are more of them than `maxDescriptors`; all are closed
 */
export function receiveDescriptors(
  socketFd: number,
  limits: { maxPayloadBytes: number; maxDescriptors: number },
): ReceivedDescriptors | undefined {
  const payload = Buffer.alloc(limits.maxPayloadBytes);
  const control = Buffer.alloc(CMSG_HEADER_BYTES + align(limits.maxDescriptors * FD_BYTES));
  const header = messageHeader(payload, control);
  const length = withBuffers(() => receive(socketFd, header));
  if (length === undefined) return undefined;
  const controlLength = Number(header.readBigUInt64LE(40));
  const fds = parseRights(control.subarray(0, controlLength));
  if ((header.readInt32LE(48) & MSG_CTRUNC) !== 0 || fds.length > limits.maxDescriptors) {
    for (const fd of fds) closeSync(fd);
    throw new MukonError(
      "DESCRIPTORS_TRUNCATED",
      `more than ${limits.maxDescriptors} descriptors came in one message`,
    );
  }
  return { payload: payload.subarray(0, length), fds };
}

/** Two connected stream sockets, close-on-exec. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** Whether a program that this process starts inherits the descriptor. */
export function setCloseOnExec(fd: number, isCloseOnExec: boolean): void {
  fcntl(fd, F_SETFD, isCloseOnExec ? FD_CLOEXEC : 0);
}

export function setNonBlocking(fd: number, isNonBlocking: boolean): void {
  const flags = fcntl(fd, F_GETFL, 0);
  fcntl(fd, F_SETFL, isNonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

function rightsMessage(fds: readonly number[]): Buffer {
  const control = Buffer.alloc(CMSG_HEADER_BYTES + align(fds.length * FD_BYTES));
  control.writeBigUInt64LE(BigInt(CMSG_HEADER_BYTES + fds.length * FD_BYTES), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  fds.forEach((fd, index) => {
    control.writeInt32LE(fd, CMSG_HEADER_BYTES + index * FD_BYTES);
  });
  return control;
}

function parseRights(control: Buffer): number[] {
  const fds: number[] = [];
  for (let offset = 0; offset + CMSG_HEADER_BYTES <= control.length; ) {
    const length = Number(control.readBigUInt64LE(offset));
    if (length < CMSG_HEADER_BYTES || offset + length > control.length) break;
    const isRights =
      control.readInt32LE(offset + 8) === SOL_SOCKET &&
      control.readInt32LE(offset + 12) === SCM_RIGHTS;
    for (
      let at = offset + CMSG_HEADER_BYTES;
      isRights && at + FD_BYTES <= offset + length;
      at += FD_BYTES
    ) {
      fds.push(control.readInt32LE(at));
    }
    offset += align(length);
  }
  return fds;
}

/** What the last header points to: only its addresses are in there, so nothing else holds it. */
const pointedTo: { buffers: readonly Buffer[] } = { buffers: [] };

function messageHeader(payload: Buffer, control: Buffer): Buffer {
  const vector = Buffer.alloc(IOVEC_BYTES);
  pointedTo.buffers = [payload, control, vector];
  vector.writeBigUInt64LE(addressOf(payload), 0);
  vector.writeBigUInt64LE(BigInt(payload.length), 8);
  const header = Buffer.alloc(MSGHDR_BYTES);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  if (control.length > 0) header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  return header;
}

function withBuffers<Result>(call: () => Result): Result {
  try {
    return call();
  } finally {
    pointedTo.buffers = [];
  }
}

/** Undefined when the call would have to wait. */
function receive(socketFd: number, header: Buffer): number | undefined {
  try {
    return recvmsg(socketFd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } catch (error) {
    if (error instanceof SystemCallError && error.errorName === "EAGAIN") return undefined;
    throw error;
  }
}

function addressOf(buffer: Buffer): bigint {
  return BigInt(loadKoffi().address(buffer));
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}
