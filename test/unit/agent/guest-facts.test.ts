// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { containersMemory, totalMemory } from "../../../guest/agent/cgroup/layout.ts";
import { OomEvents } from "../../../guest/agent/cgroup/oom.ts";
import { ioStats, networkStats } from "../../../guest/agent/cgroup/stats.ts";
import { reasonNotToRun } from "../../../guest/agent/guard.ts";
import { exitCodeOf } from "../../../guest/agent/native/process.ts";
import { parseIpv4Routes, routeArguments } from "../../../guest/agent/network/routes.ts";
import { numbersOf } from "../../../guest/agent/sandbox/devices.ts";

const MIB = 1024 * 1024;
const GUEST = {
  pid: 100,
  parentPid: 1,
  cpuInfo: "processor: 0\nflags\t\t: fpu hypervisor sse\n",
  hasAgentPort: true,
};

test("the agent runs nowhere but in a guest", () => {
  assert.equal(reasonNotToRun(GUEST), undefined);
  assert.equal(reasonNotToRun({ ...GUEST, pid: 1, parentPid: 0 }), undefined);
  assert.match(reasonNotToRun({ ...GUEST, parentPid: 2 }) ?? "", /PID 1/);
  assert.match(reasonNotToRun({ ...GUEST, cpuInfo: "flags : fpu" }) ?? "", /not virtual/);
  assert.match(reasonNotToRun({ ...GUEST, hasAgentPort: false }) ?? "", /no port/);
});

test("exit codes are those of shells", () => {
  assert.equal(exitCodeOf(7 << 8), 7);
  assert.equal(exitCodeOf(9), 137);
  assert.equal(exitCodeOf(11 | 0x80), 139);
});

test("containers leave the agent its share of the memory", () => {
  assert.equal(totalMemory("MemTotal:  1024 kB\nMemFree: 1 kB\n"), MIB);
  assert.equal(containersMemory(2048 * MIB), 1968 * MIB);
  assert.equal(containersMemory(128 * MIB), 96 * MIB);
});

test("OOM events wait for who asks, and askers for events", async () => {
  const events = new OomEvents();
  events.push("a");
  assert.equal(await events.next(), "a");
  const later = events.next();
  events.push("b");
  assert.equal(await later, "b");
  void events.next();
  events.forgetWaiting();
  events.push("c");
  assert.equal(await events.next(), "c");
});

test("disk and network counters are read from the kernel's text", () => {
  const { ioServiceBytesRecursive, ioServicedRecursive } = ioStats(
    "254:16 rbytes=4096 wbytes=512 rios=3 wios=1 dbytes=0 dios=0\nnonsense",
  );
  assert.deepEqual(ioServiceBytesRecursive[0], {
    major: 254n,
    minor: 16n,
    op: "Read",
    value: 4096n,
  });
  assert.equal(ioServicedRecursive[1]?.value, 1n);
  const text = "Inter-|   Receive\n face |bytes\n eth0: 10 1 2 3 0 0 0 0 20 4 5 6 0 0 0 0\n";
  assert.deepEqual(networkStats(text), [
    {
      name: "eth0",
      rxBytes: 10n,
      rxPackets: 1n,
      rxErrors: 2n,
      rxDropped: 3n,
      txBytes: 20n,
      txPackets: 4n,
      txErrors: 5n,
      txDropped: 6n,
    },
  ]);
});

test("device numbers are split as the kernel packs them", () => {
  assert.deepEqual(numbersOf(0x0801), { major: 8n, minor: 1n });
  assert.deepEqual(numbersOf(0xfe10), { major: 254n, minor: 16n });
  assert.deepEqual(numbersOf(0x10_0ab5), { major: 10n, minor: 0x1b5n });
});

const ROUTE = { dest: "", gateway: "", device: "eth0", source: "", scope: 0, family: 0 };

test("routes become arguments, and hostile ones become errors", () => {
  const toArguments = (route: Partial<typeof ROUTE>) =>
    routeArguments({ ...ROUTE, flags: 0, mtu: 0, ...route }).join(" ");
  assert.equal(toArguments({ gateway: "10.0.0.1" }), "route replace default via 10.0.0.1 dev eth0");
  assert.equal(
    toArguments({ dest: "10.0.0.0/24", scope: 253 }),
    "route replace 10.0.0.0/24 dev eth0 scope link",
  );
  assert.equal(toArguments({ dest: "::/0", family: 1 }), "-6 route replace default dev eth0");
  assert.throws(() => toArguments({ dest: "-x" }), /no IP address/);
  assert.throws(() => toArguments({ gateway: "1.2.3.4 dev lo" }), /no IP address/);
  assert.throws(() => toArguments({ device: "--help" }), /no interface name/);
});

test("the kernel's table of routes is read", () => {
  const text =
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" +
    "eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
    "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
  const routes = parseIpv4Routes(text);
  assert.deepEqual(
    routes.map((route) => [route.dest, route.gateway]),
    [
      ["0.0.0.0/0", "10.0.2.1"],
      ["10.0.2.0/24", ""],
    ],
  );
});
