// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
/** struct sockaddr_un of unix(7). */
const ADDRESS_BYTES = 110;
const NAME = "s";

const socket = systemCall("int socket(int domain, int type, int protocol)");
const bind = systemCall("int bind(int fd, void *address, uint32_t length)");
const listen = systemCall("int listen(int fd, int backlog)");
const connect = systemCall("int connect(int fd, void *address, uint32_t length)");

/**
 * A listening socket with one connection waiting to be accepted, and the other end of that
 * connection: for programs that insist on accepting. Nobody else can connect: the socket has a name
 * in `directory` only while this runs. Both are close-on-exec and the caller's to close.
 */
export function connectedListener(directory: string): { listener: number; connection: number } {
  const folder = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  // However long the directory's path is, a socket's must be short.
  const path = `/proc/self/fd/${folder}/${NAME}`;
  const opened: number[] = [];
  try {
    const address = Buffer.alloc(ADDRESS_BYTES);
    address.writeUInt16LE(AF_UNIX, 0);
    address.write(path, 2);
    const listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    opened.push(listener);
    bind(listener, address, ADDRESS_BYTES);
    try {
      listen(listener, 1);
      const connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      opened.push(connection);
      connect(connection, address, ADDRESS_BYTES);
      return { listener, connection };
    } finally {
      unlinkSync(path);
    }
  } catch (error) {
    for (const descriptor of opened) closeSync(descriptor);
    throw error;
  } finally {
    closeSync(folder);
  }
}
