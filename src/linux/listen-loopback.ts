// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const BACKLOG = 64;
const ADDRESS_BYTES = 16;
/** One that is given: a socket that chose its port could be bound anew by whoever has it. */
const PORT = 1;

const socket = systemCall("int socket(int domain, int type, int protocol)");
const bind = systemCall("int bind(int fd, void *address, unsigned int length)");
const listen = systemCall("int listen(int fd, int backlog)");

/**
 * A TCP socket that listens on 127.0.0.1, for ever, in the network namespace of the calling thread.
 * Node's own cannot be made without waiting, and so not in another namespace.
 * @throws SystemCallError: EADDRINUSE when there is one already
 */
export function listenOnLoopback(): number {
  const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  try {
    // struct sockaddr_in
    const address = Buffer.alloc(ADDRESS_BYTES);
    address.writeUInt16LE(AF_INET, 0);
    address.writeUInt16BE(PORT, 2);
    address.set([127, 0, 0, 1], 4);
    bind(fd, address, address.length);
    listen(fd, BACKLOG);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
