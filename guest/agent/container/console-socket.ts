// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, Status } from "../errors.ts";
import { receiveDescriptor } from "../native/terminal.ts";

const POLL_MS = 2;
const TIMEOUT_MS = 10_000;

/** The socket over which crun hands out the master side of a terminal. */
export interface ConsoleSocket {
  readonly path: string;
  /** The terminal's descriptor; the caller owns it. */
  receive(): Promise<number>;
  close(): void;
}

export async function listenForConsole(path: string): Promise<ConsoleSocket> {
  const server = createServer({ pauseOnConnect: true });
  const connections: Socket[] = [];
  server.on("connection", (socket) => connections.push(socket));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    path,
    receive: () => receiveFrom(connections),
    close: () => {
      for (const socket of connections) socket.destroy();
      closeServer(server, path);
    },
  };
}

async function receiveFrom(connections: readonly Socket[]): Promise<number> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (Date.now() < deadline) {
    const socket = connections[0];
    const fd = socket === undefined ? undefined : receiveDescriptor(descriptorOf(socket));
    if (fd !== undefined) return fd;
    await delay(POLL_MS);
  }
  throw new AgentError(Status.deadlineExceeded, "crun sent no terminal");
}

/** Node has no public way to the descriptor, and none to receive one over a socket. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { _handle?: { fd?: number } })._handle;
  const fd = handle?.fd;
  if (fd === undefined || fd < 0) {
    throw new AgentError(Status.internal, "the console socket has no descriptor");
  }
  return fd;
}

function closeServer(server: Server, path: string): void {
  server.close();
  rmSync(path, { force: true });
}
