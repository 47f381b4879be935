// SPDX-License-Identifier: Apache-2.0
// `mukon run --network user`: no CNI, no interface on the host, and nothing of the host within reach.
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mukon, type Outcome } from "../../support/mukon.ts";
import type { NetworkWorld } from "../../support/network-world.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";
import {
  cannotUserNetwork,
  HOST,
  makeHostAndOutside,
  OUTSIDE,
  TCP_PORT,
  UDP_PORT,
} from "../../support/user-network-world.ts";

const skip = cannotUserNetwork;
const PORT = 18_080;
const HIGHEST_FIRST = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/** Answers any question for a name with 192.0.2.77. */
const NAME_SERVER = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (asked, from) => {
  const end = asked.indexOf(0, 12) + 5;
  const isIpv4 = asked.readUInt16BE(end - 4) === 1;
  const answer = Buffer.from("c00c000100010000003c0004c000024d", "hex");
  const head = Buffer.from([asked[0], asked[1], 0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0]);
  const parts = [head, asked.subarray(12, end), ...(isIpv4 ? [answer] : [])];
  socket.send(Buffer.concat(parts), from.port, from.address);
});
socket.bind(53, "${OUTSIDE.ipv4}", () => console.log("listening"));`;

let world: PodWorld;
let network: NetworkWorld;
let come: string;
let under: string[];
let pod: Pod;
before(async () => {
  if (skip) return;
  world = new PodWorld();
  const made = await makeHostAndOutside();
  ({ network, comeToHost: come } = made);
  await network.serve(made.outside, NAME_SERVER);
  under = ["nsenter", `--net=${network.host}`, "--"];
  const user = ["--network", "user", "--dns", OUTSIDE.ipv4, "-p", `${PORT}:80`];
  const web = ["busybox", "httpd", "-f", "-h", "/etc"];
  pod = await world.start("test-user", [...user, "--hostname", "web", ...web], { under });
});
after(async () => {
  if (skip) return;
  await network.end();
  await world.end();
});

const inPod = (...argv: string[]): Promise<Outcome> =>
  mukon(["exec", "test-user", ...argv], { under });
/** What a listener says to whoever connects from the container. */
async function hear(address: string, port: number): Promise<string> {
  return (await inPod("sh", "-c", `echo x | timeout 3 nc -w 2 ${address} ${port}`)).stdout;
}
/** What the container gets to know of a name: a datagram goes to the server, or to the container's own. */
async function ask(server?: string): Promise<string> {
  const named = server === undefined ? [] : [server];
  return (await inPod("timeout", "3", "nslookup", "somewhere.example", ...named)).stdout;
}

test("what is outside is reached, by TCP, UDP and name", { skip }, async () => {
  assert.equal(await hear(OUTSIDE.ipv4, TCP_PORT), "hello");
  assert.match(await ask(), /192\.0\.2\.77/);
  assert.match(await ask(`${OUTSIDE.ipv4}:53`), /192\.0\.2\.77/);
});

test("nothing of the host is reached, whatever it is called", { skip }, async () => {
  for (const address of [HOST.ipv4, "10.0.2.2", "169.254.169.254", "127.9.8.7"]) {
    assert.equal(await hear(address, TCP_PORT), "", address);
    await ask(`${address}:${UDP_PORT}`);
  }
  assert.equal(readFileSync(come, "utf8"), "");
});

test("a published port leads to the container, from the host's loopback alone", {
  skip,
}, async () => {
  const get = (address: string): Promise<string> =>
    network.fetch(network.host, `http://${address}:${PORT}/hostname`);
  assert.equal((await get("127.0.0.1")).trim(), "web");
  await assert.rejects(get(HOST.ipv4), /ECONNREFUSED/);
});

test("every process of it is as confined as it is said to be", { skip }, async () => {
  const audited = await mukon(["audit", "--json", "test-user"], { under });
  assert.equal(audited.code, 0, audited.stdout);
  const passt = passtOf(pod);
  const status = readFileSync(`/proc/${passt}/status`, "utf8");
  assert.match(status, /^CapBnd:\t0+$/m);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp_filters:\t2$/m);
  const host = statSync(network.host).ino;
  assert.equal(statSync(`/proc/${passt}/ns/net`).ino, host, "passt is in the host's network");
  assert.notEqual(statSync(`/proc/${pod.vmmPid}/ns/net`).ino, host, "the VMM is in none");
  for (const file of [
    "etc/passwd",
    "bin/sh",
    "proc/1/root/etc/passwd",
    "run/mukon/sandboxes",
    "home",
  ]) {
    assert.equal(existsSync(`/proc/${passt}/root/${file}`), false, file);
  }
});

test("without passt, the pod is over, and says so; nothing is left", { skip }, async () => {
  const { wall } = pod.state;
  assert.ok(wall !== undefined && existsSync(wall));
  process.kill(passtOf(pod), "SIGKILL");
  for (let tries = 0; existsSync(`/proc/${pod.vmmPid}`) && tries < 100; tries += 1)
    await sleep(100);
  assert.equal(existsSync(`/proc/${pod.vmmPid}`), false, "the VMM is still there");
  assert.equal((await mukon(["rm", "--force", "test-user"], { under })).code, 0);
  assert.equal(existsSync(wall), false, "its wall is left");
  await world.assertNothingLeft();
});

test("what cannot be had is refused, and nothing is left of the attempt", { skip }, async () => {
  const refused = (args: string[], pattern: RegExp): Promise<Outcome> =>
    world.assertRefused(["--network", "user", ...args], pattern, { under });
  await refused(["-p", "5353:53/udp"], /PUBLISH_UNSUPPORTED/);
  await refused(["-p", "[::1]:8080:80"], /PUBLISH_UNSUPPORTED/);
  const first = Number((await network.inHost(["cat", HIGHEST_FIRST])).trim());
  if (first > 1) await refused(["-p", `${first - 1}:80`], /PUBLISH_PRIVILEGED/);
  await refused(["-p", `${HOST.ipv4}:${TCP_PORT}:80`], /LAUNCH_FAILED/);
});

test("where the wall cannot be built, there is no pod", { skip }, async () => {
  const without =
    'umount -l /sys/fs/cgroup/unified 2>/dev/null || umount -l /sys/fs/cgroup; exec "$@"';
  const blind = [...under, "unshare", "--mount", "--", "sh", "-c", without, "sh"];
  const pattern = /NETWORK_WALL_UNAVAILABLE/;
  await world.assertRefused(["--network", "user"], pattern, { under: blind });
});

/** A pod's state is read before passt has started, or after. */
function passtOf({ state }: Pod): number {
  assert.ok(state.processes.passt, "no passt was written down");
  return state.processes.passt.pid;
}
