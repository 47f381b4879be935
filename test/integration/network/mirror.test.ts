// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Journal } from "../../../src/host/journal/journal.ts";
import { tearDown } from "../../../src/host/journal/tear-down.ts";
import { connectTap } from "../../../src/host/network/mirror.ts";
import { type OpenNamespace, openNamespace } from "../../../src/host/network/namespace.ts";
import { scanNetwork } from "../../../src/host/network/scan.ts";
import { inNetworkNamespace } from "../../../src/linux/network-namespace.ts";
import { systemCall } from "../../../src/linux/system-call.ts";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";

const TUNSETPERSIST = 0x4004_54cb;
const ioctl = systemCall("int ioctl(int fd, unsigned long request, unsigned long value)");
const skip = cannotNetwork;

let network: NetworkWorld;
const directory = mkdtempSync(join(tmpdir(), "mukon-mirror-"));
before(async () => {
  if (skip) return;
  process.env.MUKON_RUN_ROOT = directory;
  network = await NetworkWorld.make();
});
after(async () => {
  if (!skip) await network.end();
  rmSync(directory, { recursive: true, force: true });
});

/** A namespace with an interface that leads to the test's host. */
async function prepared(name: string): Promise<OpenNamespace> {
  const path = await network.addNamespace(name);
  const ip = (...words: string[]): Promise<string> => network.in(path, ["ip", ...words]);
  await network.inHost([
    "ip",
    "link",
    "add",
    `h-${name}`,
    "type",
    "veth",
    "peer",
    "e",
    "netns",
    path.split("/").at(-1) ?? "",
  ]);
  await network.inHost(["ip", "link", "set", `h-${name}`, "up"]);
  await ip("link", "set", "e", "mtu", "1400", "up");
  await ip("addr", "add", "10.55.0.2/24", "dev", "e");
  await ip("route", "add", "default", "via", "10.55.0.1");
  return openNamespace(path);
}

const own = (): string => readlinkSync("/proc/thread-self/ns/net");

test("what is in a namespace is read as it is, and our own stays ours", { skip }, async () => {
  const namespace = await prepared("scan");
  const before = own();
  const { interfaces, routes, warnings } = await scanNetwork(namespace);
  assert.deepEqual(
    interfaces.map(({ name, mtu, kind, addresses }) => ({ name, mtu, kind, addresses })),
    [{ name: "e", mtu: 1400, kind: "veth", addresses: [{ address: "10.55.0.2", prefix: 24 }] }],
  );
  assert.deepEqual(
    routes.map(({ destination, gateway }) => [destination, gateway]),
    [["default", "10.55.0.1"]],
  );
  assert.deepEqual(warnings, []);
  assert.throws(() =>
    inNetworkNamespace(namespace.descriptor, () => {
      assert.notEqual(own(), before);
      throw new Error("within");
    }),
  );
  assert.equal(own(), before);
  closeSync(namespace.descriptor);
});

test("a tap device that its holder made stay is taken away with the filters", {
  skip,
}, async () => {
  const namespace = await prepared("stay");
  const [link] = (await scanNetwork(namespace)).interfaces;
  assert.ok(link);
  const journal = Journal.open("stay");
  const target = { namespace, index: 0, journal };
  const tap = await connectTap(target, link);
  assert.equal((await network.traces(namespace.path)).length, 3);
  await assert.rejects(connectTap(target, link), { code: "NETWORK_INTERFACE_BUSY" });
  // What a captured VMM can do with the descriptor that it has.
  ioctl(tap.descriptor, TUNSETPERSIST, 1);
  closeSync(tap.descriptor);
  assert.equal((await network.traces(namespace.path)).length, 3);
  journal.close();
  assert.equal(await tearDown("stay"), true);
  assert.deepEqual(await network.traces(namespace.path), []);
  closeSync(namespace.descriptor);
});

test("a namespace that is gone, or another one in its place, is left alone", { skip }, async () => {
  const namespace = await prepared("gone");
  const [link] = (await scanNetwork(namespace)).interfaces;
  assert.ok(link);
  const journal = Journal.open("gone");
  const tap = await connectTap({ namespace, index: 0, journal }, link);
  closeSync(tap.descriptor);
  closeSync(namespace.descriptor);
  journal.close();
  // Something else that has filters of its own, under the same name.
  const other = await network.addNamespace("other");
  await network.in(other, ["ip", "link", "add", "e", "type", "veth", "peer", "f"]);
  await network.in(other, ["tc", "qdisc", "add", "dev", "e", "ingress"]);
  await network.replace(namespace.path, other);
  await tearDown("gone");
  assert.equal((await network.traces(other)).length, 1);
  assert.deepEqual(readdirSync(join(directory, "sandboxes")), []);
});
