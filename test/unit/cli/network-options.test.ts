// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseNameServer,
  parseNetwork,
  parsePort,
} from "../../../src/cli/commands/network-options.ts";

const usage = { code: "USAGE" };

test("a published port is this host's own unless an address is given", () => {
  const port = (hostIP: string, hostPort: number, containerPort: number, protocol = "tcp") => ({
    ...{ hostIP, hostPort, containerPort, protocol },
  });
  assert.deepEqual(parsePort("8080:80"), port("127.0.0.1", 8080, 80));
  assert.deepEqual(parsePort("0.0.0.0:53:53/udp"), port("0.0.0.0", 53, 53, "udp"));
  assert.deepEqual(parsePort("[fd00::1]:1:65535"), port("fd00::1", 1, 65_535));
  for (const bad of ["80", "0:80", "80:65536", "x:80", "1.2.3:1:1", "80:80/sctp", "80:80:", ""]) {
    assert.throws(() => parsePort(bad), usage, bad);
  }
});

test("a network is a name or a path, and never the host's", () => {
  assert.equal(parseNetwork("none"), "none");
  assert.equal(parseNetwork("cni:mine"), "mine");
  assert.equal(parseNetwork("/run/netns/x"), "/run/netns/x");
  for (const bad of ["host", "", "a/b", "cni:", "-x"])
    assert.throws(() => parseNetwork(bad), usage);
  assert.equal(parseNameServer("fd00::53"), "fd00::53");
  assert.throws(() => parseNameServer("dns.example"), usage);
});
