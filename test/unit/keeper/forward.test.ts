// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, test } from "node:test";
import { Connections } from "../../../guest/agent/network/connections.ts";
import type { GuestConnection } from "../../../src/guest-protocol/forwarding-client.ts";
import { forwardConnections } from "../../../src/keeper/forwarding/forward.ts";
import type { Logger } from "../../../src/logging/logger.ts";

const servers: Server[] = [];
const logger = { info: () => {}, warn: () => {} } as unknown as Logger;

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, onConnection).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** The agent's side, as it is, without the wire. */
async function openGuest(guest: Connections, port: number): Promise<GuestConnection> {
  const id = await guest.open(port);
  return {
    read: () => guest.read(id, 1000),
    write: (data) => guest.write(id, Buffer.from(data), false),
    end: () => guest.write(id, Buffer.alloc(0), true),
    close: async () => guest.close(id),
  };
}

/** A port that leads to `target` by way of keeper and agent. */
async function forwardTo(target: number, guest = new Connections()): Promise<number> {
  const server = forwardConnections({ connect: () => openGuest(guest, target), logger });
  servers.push(server.listen(0, "127.0.0.1"));
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test("bytes go both ways, and the end of one way does not end the other", async () => {
  const target = await listen(async (socket) => {
    const asked = await textOf(socket);
    socket.end(`${asked.length} ${asked.slice(-5)}`);
  });
  const client = connect({ port: await forwardTo(target), host: "127.0.0.1", allowHalfOpen: true });
  client.end(`${"x".repeat(1_000_000)}hello`);
  assert.equal(await textOf(client), "1000005 hello");
});

test("where nobody listens in the guest, the connection ends", async () => {
  const target = await listen(() => {});
  servers.pop()?.close();
  const client = connect(await forwardTo(target), "127.0.0.1");
  await assert.rejects(textOf(client), { code: "ECONNRESET" });
});

test("a client that goes away takes its connection in the guest along", async () => {
  let onEnd = () => {};
  const ended = new Promise<void>((done) => {
    onEnd = done;
  });
  const target = await listen((socket) => {
    socket.write("hello");
    socket.on("error", () => {});
    socket.once("close", onEnd);
    socket.resume().once("end", () => socket.end());
  });
  const client = connect(await forwardTo(target), "127.0.0.1");
  await once(client, "data");
  client.destroy();
  await ended;
});

test("an agent has so many connections and no more, and forgets those of a host that is gone", async () => {
  const target = await listen((socket) => void socket.on("error", () => {}).resume());
  const guest = new Connections();
  const ids: number[] = [];
  for (let count = 0; count < 64; count += 1) ids.push(await guest.open(target));
  await assert.rejects(guest.open(target), /64 connections are open/);
  const waiting = guest.read(ids[0] ?? 0, 10);
  guest.closeAll();
  assert.equal((await waiting).length, 0);
  await assert.rejects(guest.read(ids[1] ?? 0, 10), /there is no connection/);
  await assert.rejects(guest.open(0), /0 is no port/);
  await assert.rejects(guest.open(65_536), /65536 is no port/);
});
