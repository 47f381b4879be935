// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { call } from "./libc.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_ROUTE = 0;
const HEADER_BYTES = 16;
const REQUEST_AND_ACK = 0x1 | 0x4;
const NLMSG_ERROR = 2;
const ALIGNMENT = 4;

/**
 * Asks the kernel for one change to its network and waits for the answer; rtnetlink(7).
 * @returns 0, or the number of the error
 */
export function changeNetwork(type: number, flags: number, payload: Buffer): number {
  const fd = call(
    "int socket(int domain, int type, int protocol)",
    AF_NETLINK,
    SOCK_RAW_CLOEXEC,
    NETLINK_ROUTE,
  );
  try {
    const message = Buffer.alloc(HEADER_BYTES + payload.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt16LE(type, 4);
    message.writeUInt16LE(REQUEST_AND_ACK | flags, 6);
    message.writeUInt32LE(1, 8);
    payload.copy(message, HEADER_BYTES);
    const send = "int64_t send(int fd, void *data, size_t length, int flags)";
    call(send, fd, message, message.length, 0);
    // The kernel has answered before it returns from the call above.
    const answer = Buffer.alloc(4096);
    const receive = "int64_t recv(int fd, void *data, size_t length, int flags)";
    const length = call(receive, fd, answer, answer.length, 0);
    if (length < HEADER_BYTES + 4 || answer.readUInt16LE(4) !== NLMSG_ERROR) {
      throw new Error("the kernel's answer is no acknowledgement");
    }
    return -answer.readInt32LE(HEADER_BYTES);
  } finally {
    closeSync(fd);
  }
}

/** One attribute of a message, padded. */
export function attribute(type: number, value: Buffer): Buffer {
  const length = ALIGNMENT + value.length;
  const bytes = Buffer.alloc(Math.ceil(length / ALIGNMENT) * ALIGNMENT);
  bytes.writeUInt16LE(length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, ALIGNMENT);
  return bytes;
}
