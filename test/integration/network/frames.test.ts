// SPDX-License-Identifier: Apache-2.0
// A captured VMM can put any frame on its pod's interface. What does the host make of them?
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";

const skip = cannotNetwork;
const PORT = 4321;
/** Listens on the loopback alone, and on every address of the host beside it. */
const LISTENERS = `
const { createServer } = require("node:net");
createServer().listen(${PORT}, "127.0.0.1", () =>
  createServer().listen(${PORT + 1}, "0.0.0.0", () => console.log("listening")));`;

/**
 * Writes frames of its own making to an interface: SYN segments for an address and a port. Prints
 * "answered" when one of them brings a SYN-ACK or a RST back within two seconds.
 */
const SEND = `
import socket, struct, sys, time
name, gateway, source, target, port = sys.argv[1:6]
def checksum(data):
    data += b"\\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
raw.bind((name, 0))
own = raw.getsockname()[4]
saddr, daddr = socket.inet_aton(source), socket.inet_aton(target)
tcp = struct.pack("!HHIIBBHHH", 40000, int(port), 1, 0, 5 << 4, 2, 64240, 0, 0)
pseudo = saddr + daddr + struct.pack("!BBH", 0, 6, len(tcp))
tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, saddr, daddr)
ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
frame = bytes.fromhex(gateway.replace(":", "")) + own + b"\\x08\\x00" + ip + tcp
raw.settimeout(0.2)
answer = "silence"
for turn in range(10):
    raw.send(frame)
    until = time.time() + 0.2
    while time.time() < until:
        try: data = raw.recv(2048)
        except TimeoutError: break
        if data[:6] == own and data[23] == 6 and data[34:36] == struct.pack("!H", int(port)):
            answer = "answered"
print(answer)`;

let network: NetworkWorld;
let pod: string;
let gateway: string;
before(async () => {
  if (skip) return;
  network = await NetworkWorld.make();
  pod = await network.addNamespace("pod");
  const bridge = {
    ...{ name: "br0", type: "bridge", bridge: "br0", isGateway: true },
    ipam: {
      type: "host-local",
      dataDir: network.leases,
      ranges: [[{ subnet: "10.99.0.0/24" }]],
      routes: [{ dst: "0.0.0.0/0" }],
    },
  };
  await network.cni("ADD", bridge, { id: "pod", namespace: pod, name: "eth0" });
  gateway = macOf(await network.inHost(["ip", "-oneline", "link", "show", "dev", "br0"]));
  assert.equal(await network.serve(network.host, LISTENERS), "listening");
});
after(async () => {
  if (!skip) await network.end();
});

/** What a frame for this address brings back. */
async function send(source: string, target: string, port: number): Promise<string> {
  const argv = ["python3", "-c", SEND, "eth0", gateway, source, target, String(port)];
  return (await network.in(pod, argv, { timeoutMs: 30_000 })).trim();
}

test("a frame for an address of the bridge is answered: the frames are good", {
  skip,
}, async () => {
  assert.equal(await send("10.99.0.2", "10.99.0.1", PORT + 1), "answered");
});

for (const [what, source, target, port] of [
  ["the host's loopback", "10.99.0.2", "127.0.0.1", PORT],
  ["the host's loopback, as if from there", "127.0.0.1", "127.0.0.1", PORT],
  ["a listener on every address, by a loopback address", "10.99.0.2", "127.0.0.1", PORT + 1],
  ["no address at all", "10.99.0.2", "0.0.0.0", PORT + 1],
  ["the bridge's own address, as if from the host", "127.0.0.1", "10.99.0.1", PORT + 1],
] as const) {
  test(`a frame for ${what} reaches nobody`, { skip }, async () => {
    assert.equal(await send(source, target, port), "silence");
  });
}

function macOf(link: string): string {
  const mac = /link\/ether (\S+)/.exec(link)?.[1];
  assert.ok(mac, link);
  return mac;
}
