// SPDX-License-Identifier: Apache-2.0
// Runs in a container, on Node: tells all that must not be the same in two clones of one guest. One
// answer in JSON for each line of standard input: "facts" or "clock".
const { randomBytes } = require("node:crypto");
const { closeSync, existsSync, openSync, readFileSync, readSync } = require("node:fs");
const net = require("node:net");
const { hostname } = require("node:os");
const { createInterface } = require("node:readline");

const koffi = require("/probe/koffi.node");
const libc = koffi.load("libc.so.6");
const socket = libc.func("int socket(int domain, int type, int protocol)");
const receive = libc.func("long recv(int fd, void *buffer, unsigned long length, int flags)");

const [AF_INET, SOCK_RAW, IPPROTO_TCP, MSG_DONTWAIT] = [2, 3, 6, 0x40];
const [SERVER_PORT, CLIENT_PORTS] = [7000, [7001, 7002]];
const [FIN, SYN, ACK] = [0x01, 0x02, 0x10];
/** To the first sequence number of a connection, the kernel adds the time in steps of so long. */
const STEP_NANOSECONDS = 64;
const SEQUENCE_NUMBERS = 2 ** 32;

async function facts() {
  return {
    kernel: kernelRandom(32).toString("hex"),
    openssl: randomBytes(32).toString("hex"),
    uuid: read("/proc/sys/kernel/random/uuid"),
    boot: read("/proc/sys/kernel/random/boot_id"),
    host: hostname(),
    stack: /^(\S+) .*\[stack\]$/m.exec(read("/proc/self/maps"))[1],
    machine: read("/etc/machine-id"),
    // Twice each, so that whoever reads it can tell a secret that is the same from one that is not.
    sequences: await sequenceSecrets([...CLIENT_PORTS, ...CLIENT_PORTS]),
  };
}

function read(path) {
  return existsSync(path) ? readFileSync(path, "utf8").trim() : "";
}

function kernelRandom(length) {
  const fd = openSync("/dev/urandom", "r");
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes);
  closeSync(fd);
  return bytes;
}

/**
 * What the kernel makes of its secret and the addresses of a connection, once the time is taken off,
 * for connections from each of these ports: the same secret gives the same number, but for the
 * milliseconds between the connection and the look at the clock.
 */
async function sequenceSecrets(ports) {
  const raw = socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
  if (raw < 0) throw new Error("no raw socket");
  // The server ends each connection, and the client resets it: its port is free again at once.
  const server = net.createServer((peer) => peer.on("error", () => {}));
  await new Promise((done) => server.listen(SERVER_PORT, "127.0.0.1", done));
  const secrets = [];
  for (const port of ports) {
    const nowNs = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
    await connectFrom(port);
    const time = Number((nowNs / BigInt(STEP_NANOSECONDS)) % BigInt(SEQUENCE_NUMBERS));
    const offset = firstSequence(raw, port) - time;
    secrets.push((offset + 2 * SEQUENCE_NUMBERS) % SEQUENCE_NUMBERS);
  }
  server.close();
  closeSync(raw);
  return secrets;
}

function connectFrom(localPort) {
  return new Promise((done, fail) => {
    const client = net.connect({ host: "127.0.0.1", port: SERVER_PORT, localPort });
    client.once("error", fail);
    client.once("connect", () => {
      client.resetAndDestroy();
      client.once("close", done);
    });
  });
}

/** Out of the copies of all segments that a raw socket gets: IP header, TCP header. */
function firstSequence(raw, port) {
  const packet = Buffer.alloc(65_536);
  let found;
  while (receive(raw, packet, packet.length, MSG_DONTWAIT) > 0) {
    const tcp = packet.subarray((packet[0] & 0x0f) * 4);
    const isFirst = (tcp[13] & (FIN | SYN | ACK)) === SYN;
    if (isFirst && tcp.readUInt16BE(0) === port) found = tcp.readUInt32BE(4);
  }
  if (found === undefined) throw new Error(`no segment from port ${port} was seen`);
  return found;
}

const answers = {
  facts,
  clock: async () => ({ nowMs: Date.now() }),
};
createInterface({ input: process.stdin }).on("line", async (question) => {
  console.log(JSON.stringify(await answers[question]()));
});
