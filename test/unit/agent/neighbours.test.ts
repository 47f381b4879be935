// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressBytes, neighbourMessage } from "../../../guest/agent/network/neighbours.ts";
import { routeArguments } from "../../../guest/agent/network/routes.ts";

test("addresses become bytes in the order of the network", () => {
  assert.equal(addressBytes("10.0.1.255", false).toString("hex"), "0a0001ff");
  const ipv6 = (address: string): string => addressBytes(address, true).toString("hex");
  assert.equal(ipv6("fd99::77"), "fd990000000000000000000000000077");
  assert.equal(ipv6("::"), "0".repeat(32));
  assert.equal(ipv6("::ffff:10.0.0.1"), "00000000000000000000ffff0a000001");
  assert.equal(ipv6("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
  for (const bad of ["10.0.1", "10.0.1.256", "a.b.c.d"]) {
    assert.throws(() => addressBytes(bad, false), /is no IPv4 address/, bad);
  }
  assert.throws(() => addressBytes("10.0.0.1", true), /is no IPv6 address/);
});

test("a neighbour is what the kernel takes: struct ndmsg, address, hardware address", () => {
  const neighbour = {
    toIpAddress: { family: 0, address: "10.0.0.7", mask: "" },
    ...{ device: "eth0", lladdr: "02:00:00:00:00:77", state: 0x80, flags: 0 },
  };
  assert.equal(
    neighbourMessage(neighbour, () => 3).toString("hex"),
    "0200000003000000800000000800010" + "00a0000070a000200" + "0200000000770000",
  );
  const change = (part: object) => () => neighbourMessage({ ...neighbour, ...part }, () => 3);
  assert.throws(change({ lladdr: "02:00" }), /is no hardware address/);
  assert.throws(change({ device: "a b" }), /is no interface name/);
});

test("a gateway that no address leads to is taken as a neighbour where that is said", () => {
  const route = {
    ...{ dest: "", gateway: "169.254.1.1", device: "eth0", source: "", scope: 0 },
    ...{ family: 0, flags: 4, mtu: 0 },
  };
  const words = ["route", "replace", "default", "via", "169.254.1.1", "dev", "eth0", "onlink"];
  assert.deepEqual(routeArguments(route), words);
  assert.deepEqual(routeArguments({ ...route, flags: 0 }), words.slice(0, -1));
});
