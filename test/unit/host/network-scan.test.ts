// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { interfacesOf, routesOf } from "../../../src/host/network/scan.ts";

const link = {
  ifname: "eth0",
  flags: ["BROADCAST", "UP", "LOWER_UP"],
  mtu: 1400,
  link_type: "ether",
  address: "d2:c1:d8:dd:68:ac",
  linkinfo: { info_kind: "veth" },
  addr_info: [
    { family: "inet", local: "10.1.1.2", prefixlen: 24, scope: "global" },
    { family: "inet6", local: "fd00::2", prefixlen: 64, scope: "global" },
    { family: "inet6", local: "fe80::d0c1:d8ff:fedd:68ac", prefixlen: 64, scope: "link" },
  ],
};

test("interfaces are those with addresses; the link's own the guest makes by itself", () => {
  const warnings: string[] = [];
  const bare = { ...link, ifname: "eth9", addr_info: [] };
  const off = { ...link, ifname: "eth1", flags: ["BROADCAST"] };
  const loopback = { ...link, ifname: "lo", link_type: "loopback" };
  assert.deepEqual(interfacesOf([loopback, link, bare, off], warnings), [
    {
      ...{ name: "eth0", mac: "d2:c1:d8:dd:68:ac", mtu: 1400, kind: "veth" },
      addresses: [
        { address: "10.1.1.2", prefix: 24 },
        { address: "fd00::2", prefix: 64 },
      ],
    },
  ]);
  assert.match(warnings.join(), /eth1 is left out/);
});

test("what no VM can be given, or no kernel says, is refused", () => {
  const refused = { code: "NETWORK_UNSUPPORTED" };
  for (const change of [
    { link_type: "none" },
    { ifname: "eth 0" },
    { ifname: "-x" },
    { address: "d2:c1" },
    { mtu: 1 },
    { addr_info: [{ family: "inet", local: "10.1.1.2; true", prefixlen: 24 }] },
    { addr_info: [{ family: "inet", local: "10.1.1.2", prefixlen: 129 }] },
  ]) {
    assert.throws(() => interfacesOf([{ ...link, ...change }], []), refused);
  }
  assert.throws(() => routesOf([{ dst: "10.0.0.0/8/8", dev: "eth0" }], 4, []), refused);
  assert.throws(() => routesOf([{ dst: "default", dev: "eth0", gateway: "x" }], 4, []), refused);
});

test("routes: the kernel's own are left to the guest's, and of several the best is taken", () => {
  const warnings: string[] = [];
  const routes = routesOf(
    [
      { dst: "default", gateway: "10.1.1.9", dev: "eth1", metric: 200 },
      { dst: "default", gateway: "10.1.1.1", dev: "eth0", flags: ["onlink"] },
      { dst: "10.1.1.0/24", dev: "eth0", protocol: "kernel", scope: "link" },
      { dst: "10.2.0.0/16", dev: "eth0", scope: "link", metrics: [{ mtu: 1300 }] },
      { dst: "10.3.0.0/16", type: "unreachable" },
      { dst: "10.4.0.0/16", nexthops: [] },
    ],
    4,
    warnings,
  );
  assert.deepEqual(
    routes.map(({ destination, gateway, onLink, scope, mtu }) => [
      ...[destination, gateway, onLink, scope, mtu],
    ]),
    [
      ["default", "10.1.1.1", true, 0, 0],
      ["10.2.0.0/16", undefined, false, 253, 1300],
    ],
  );
  assert.match(warnings.join(), /10\.4\.0\.0\/16 is left out/);
});
