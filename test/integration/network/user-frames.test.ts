// SPDX-License-Identifier: Apache-2.0
// A captured VMM can send passt any frame. What of the host does passt reach for it?
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readJournal } from "../../../src/host/journal/journal.ts";
import { sandboxDirectory } from "../../../src/linux/paths.ts";
import { mukon } from "../../support/mukon.ts";
import type { NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";
import {
  cannotUserNetwork,
  HOST,
  makeHostAndOutside,
  OUTSIDE,
  TCP_PORT,
  UDP_PORT,
} from "../../support/user-network-world.ts";
import type { Segment } from "./frames.ts";

const skip = cannotUserNetwork;
const GUEST = "10.0.2.15";
const GATEWAY = "10.0.2.2";
const ADDRESSES = {
  ...{ "the loopback": "127.0.0.1", "another loopback": "127.9.8.7", "no address": "0.0.0.0" },
  ...{ "the host's own address": HOST.ipv4, "the gateway": GATEWAY, metadata: "169.254.169.254" },
  ...{ broadcast: "255.255.255.255", "broadcast of a net": "198.51.100.255" },
  ...{ multicast: "224.0.0.1", "the guest itself": GUEST },
};
const OWN = Object.entries(ADDRESSES).flatMap(([to, address]) => both(to, GUEST, address));
/** As if from the host's loopback, and from the gateway. */
const FORGED = ["127.0.0.1", GATEWAY, "0.0.0.0", HOST.ipv4].flatMap((from) => [
  ...both(`the loopback, from ${from}`, from, "127.0.0.1"),
  ...both(`the host's own address, from ${from}`, from, HOST.ipv4),
]);
const GOOD = both("outside", GUEST, OUTSIDE.ipv4);

function both(to: string, from: string, address: string): Segment[] {
  return [
    { name: `TCP to ${to}`, protocol: "tcp", from, to: address, port: TCP_PORT },
    { name: `UDP to ${to}`, protocol: "udp", from, to: address, port: UDP_PORT },
  ];
}

let world: PodWorld;
let network: NetworkWorld;
let come: string;
before(async () => {
  if (skip) return;
  world = new PodWorld();
  const made = await makeHostAndOutside();
  ({ network } = made);
  come = made.comeToHost;
});
after(async () => {
  if (skip) return;
  await network.end();
  await world.end();
});

const PROGRAM = join(import.meta.dirname, "passt-in-hand.ts");
const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  MUKON_PROGRAMS: join(import.meta.dirname, "..", "..", "..", "dist"),
});

test("whatever it sends, nothing of the host is reached", { skip }, async () => {
  const attempts = JSON.stringify([...GOOD, ...OWN, ...FORGED, ...GOOD]);
  const argv = [process.execPath, "--import", "tsx", PROGRAM, attempts];
  const env = environment();
  const outcomes = JSON.parse(await network.inHost(argv, { env, timeoutMs: 120_000 }));
  const answered = Object.keys(outcomes).filter((name) => outcomes[name] === "answered");
  assert.deepEqual(answered, ["TCP to outside", "UDP to outside"], JSON.stringify(outcomes));
  await world.assertNothingLeft();
  assert.equal(readFileSync(come, "utf8"), "", "somebody has come to the host");
});

test("with who has started it, passt ends; what is left is cleaned up by gc", {
  skip,
}, async () => {
  const words = [`--net=${network.host}`, "--", process.execPath, "--import", "tsx", PROGRAM];
  const starter = spawn("nsenter", words, {
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(starter.stdout, "data");
  const steps = readJournal("in-hand").entries;
  const passt = steps.find((entry) => entry.type === "process" && entry.role === "passt");
  const wall = steps.findLast((entry) => entry.type === "cgroup");
  assert.ok(passt?.type === "process" && wall?.type === "cgroup");
  assert.equal(existsSync(`/proc/${passt.pid}`) && existsSync(wall.path), true);
  starter.kill("SIGKILL");
  for (let tries = 0; existsSync(`/proc/${passt.pid}`) && tries < 100; tries += 1) await sleep(50);
  assert.equal(existsSync(`/proc/${passt.pid}`), false, "passt has outlived it");
  // One that is being made might be as new.
  utimesSync(sandboxDirectory("in-hand"), new Date(0), new Date(0));
  const collected = await mukon(["gc"]);
  assert.equal(collected.code, 0, collected.stderr);
  assert.equal(existsSync(wall.path), false, "its wall is left");
  await world.assertNothingLeft();
});
