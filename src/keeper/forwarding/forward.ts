// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server, type Socket } from "node:net";
import {
  type GuestConnection,
  MAX_FORWARDED_BYTES,
} from "../../guest-protocol/forwarding-client.ts";
import type { Logger } from "../../logging/logger.ts";

/** As many as the agent has at once. */
const MAX_CONNECTIONS = 64;

export interface ForwardOptions {
  connect: (port: number) => Promise<GuestConnection>;
  logger: Logger;
}

/** A server that passes each connection on to the port in the guest that it was meant for. */
export function forwardConnections({ connect, logger }: ForwardOptions): Server {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    // It was sent here by the kernel, and still has the port that was asked for.
    const port = socket.localPort ?? 0;
    forward(socket, connect(port)).catch((error: unknown) => {
      logger.info("a connection was not forwarded wholly", { port, error });
      socket.resetAndDestroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.on("error", (error) => logger.warn("no port is forwarded", { error }));
  return server;
}

async function forward(socket: Socket, opening: Promise<GuestConnection>): Promise<void> {
  socket.on("error", () => socket.destroy());
  const guest = await opening;
  const closed = new Promise<void>((done) => socket.once("close", () => done()));
  if (socket.destroyed) return await guest.close();
  // A client that has gone ends a read that waits in the guest.
  void closed.then(() => guest.close().catch(() => {}));
  await Promise.all([sendAll(socket, guest), receiveAll(socket, guest)]);
}

async function sendAll(socket: Socket, guest: GuestConnection): Promise<void> {
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const data: Buffer = chunk;
    for (let offset = 0; offset < data.length; offset += MAX_FORWARDED_BYTES) {
      await guest.write(data.subarray(offset, offset + MAX_FORWARDED_BYTES));
    }
  }
  await guest.end();
}

async function receiveAll(socket: Socket, guest: GuestConnection): Promise<void> {
  for (;;) {
    const data = await guest.read();
    if (data.length === 0) break;
    if (socket.destroyed) return;
    if (!socket.write(data)) {
      await new Promise<void>((done) => {
        socket.once("drain", done);
        socket.once("close", () => done());
      });
    }
  }
  socket.end();
}
