// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { type Loopback, openLoopback } from "../../../src/host/network/loopback.ts";
import { type OpenNamespace, openNamespace } from "../../../src/host/network/namespace.ts";
import { systemCall } from "../../../src/linux/system-call.ts";
import { NetworkWorld } from "../../support/network-world.ts";

/** Prints what a connection gives, or why there is none. */
const CONNECT = `
const [host, port] = process.argv.slice(1);
const socket = require("node:net").connect({ host, port });
socket.on("data", (data) => process.stdout.write(data));
socket.on("error", ({ code }) => process.stdout.write(code));`;

let network: NetworkWorld;
let namespace: OpenNamespace;
let loopback: Loopback;

before(async () => {
  network = await NetworkWorld.make();
  namespace = openNamespace(network.host);
  await network.inHost(["ip", "addr", "add", "10.94.0.1/32", "dev", "lo"]);
  loopback = openLoopback(namespace);
});
after(async () => {
  closeSync(namespace.descriptor);
  await network.end();
});

const connect = (host: string, port: number) =>
  network.inHost([process.execPath, "-e", CONNECT, host, `${port}`]);

test("connections to any port of the loopback arrive, and say what they were meant for", async () => {
  const server = createServer((socket) => socket.end(`${socket.localAddress} ${socket.localPort}`));
  server.listen({ fd: loopback.listener });
  assert.equal(await connect("127.0.0.1", 80), "127.0.0.1 80");
  assert.equal(await connect("127.1.2.3", 65_535), "127.1.2.3 65535");
  assert.equal(await connect("10.94.0.1", 80), "ECONNREFUSED", "not the loopback's address");
  assert.equal(await connect("::1", 80), "ECONNREFUSED", "not IPv4");
  closeSync(loopback.link);
  assert.equal(await connect("127.0.0.1", 80), "ECONNREFUSED", "it is over");
  await new Promise((done) => server.close(done));
});

test("it may be opened before the loopback interface is up", async () => {
  const path = await network.addNamespace("down");
  const other = openNamespace(path);
  const { listener, link } = openLoopback(other);
  const server = createServer((socket) => socket.end("here")).listen({ fd: listener });
  await network.in(path, ["ip", "link", "set", "lo", "up"]);
  const words = [process.execPath, "-e", CONNECT, "127.0.0.1", "81"];
  assert.equal(await network.in(path, words), "here");
  for (const descriptor of [other.descriptor, link]) closeSync(descriptor);
  server.close();
});

test("who has the socket can make no other one of it", async () => {
  const path = await network.addNamespace("captured");
  const veth = ["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"];
  for (const words of [veth, ["ip", "addr", "add", "10.95.0.1/24", "dev", "v0"]]) {
    await network.in(path, words);
  }
  for (const name of ["lo", "v0", "v1"]) await network.in(path, ["ip", "link", "set", name, "up"]);
  const captured = openNamespace(path);
  const { listener, link } = openLoopback(captured);
  const SHUT_RD = 0;
  const shutdown = systemCall("int shutdown(int fd, int how)");
  const bind = systemCall("int bind(int fd, void *address, unsigned int length)");
  const connect = systemCall("int connect(int fd, void *address, unsigned int length)");
  shutdown(listener, SHUT_RD);
  assert.throws(() => bind(listener, addressOf([10, 95, 0, 1], 0), 16), /EINVAL/);
  assert.throws(() => connect(listener, addressOf([10, 95, 0, 2], 80), 16), /EINVAL/);
  for (const descriptor of [captured.descriptor, listener, link]) closeSync(descriptor);
});

/** struct sockaddr_in */
function addressOf(bytes: number[], port: number): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(2, 0);
  address.writeUInt16BE(port, 2);
  address.set(bytes, 4);
  return address;
}
