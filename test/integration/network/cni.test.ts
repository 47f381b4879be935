// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundlePaths } from "../../../src/cli/container/paths.ts";
import { mukon, type Outcome } from "../../support/mukon.ts";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
let network: NetworkWorld;
let under: string[];

before(async () => {
  if (cannotNetwork) return;
  world = new PodWorld();
  network = await NetworkWorld.make();
  under = ["nsenter", `--net=${network.host}`, "--"];
  process.env.MUKON_CNI_DIRECTORY = world.directory;
});
after(async () => {
  if (cannotNetwork) return;
  await network.end();
  await world.end();
});

const inHost = (...args: string[]): Promise<Outcome> => mukon(args, { under });

/** All that CNI plugins have made for containers: addresses, interfaces, rules, namespaces. */
async function traces(): Promise<string[]> {
  const leases = readdirSync(join(world.runRoot, "cni", "bridge")).filter((name) =>
    /^\d+\.\d+/.test(name),
  );
  const links = await network.inHost(["ip", "-oneline", "link", "show", "type", "veth"]);
  const rules = await network.inHost(["iptables-save", "-t", "nat"]);
  const ids = readdirSync(join(world.runRoot, "bundles"));
  return [
    ...leases.map((lease) => `lease ${lease}`),
    ...links.split("\n").filter(Boolean),
    ...rules.split("\n").filter((line) => /CNI-[0-9a-f]{12}|CNI-DN-/.test(line)),
    ...readdirSync("/run/netns").filter((name) => ids.includes(name.replace(/^mukon-/, ""))),
  ];
}

test("a container in the bridge network is reached by its port", {
  skip: cannotNetwork,
}, async (t) => {
  const web = await world.start(
    "test-web",
    [
      ...["--network", "bridge", "-p", "18080:80", "--dns", "192.0.2.53", "--hostname", "web"],
      ...["busybox", "httpd", "-f", "-h", "/etc"],
    ],
    { under },
  );
  const address = web.state.network?.[0]?.addresses[0]?.split("/")[0] ?? "none";

  await t.test("from the host, and from nowhere else unless that is said", async () => {
    const get = (url: string): Promise<string> => network.fetch(network.host, url);
    assert.match(await get("http://127.0.0.1:18080/hosts"), new RegExp(`^${address} web$`, "m"));
    assert.match(await get(`http://${address}/hosts`), /localhost/);
    await network.inHost(["ip", "addr", "add", "10.77.0.1/32", "dev", "lo"]);
    await assert.rejects(get("http://10.77.0.1:18080/hosts"), /ECONNREFUSED/);
  });

  await t.test("it has its name servers, and its address is shown", async () => {
    const { stdout } = await inHost("exec", "test-web", "cat", "/etc/resolv.conf");
    assert.equal(stdout, "nameserver 192.0.2.53\n");
    const listed = JSON.parse((await inHost("ps", "--json")).stdout);
    assert.deepEqual(listed[0].addresses, [address]);
    assert.match((await inHost("ps")).stdout, new RegExp(address.replaceAll(".", "\\.")));
  });

  await t.test("after kill -9 of all its processes, gc gives everything back", async () => {
    assert.ok((await traces()).length >= 4);
    for (const pid of [web.shimPid, web.vmmPid, web.keeperPid]) process.kill(pid, "SIGKILL");
    const { directory } = bundlePaths(web.id);
    utimesSync(directory, new Date(0), new Date(0));
    const collected = await inHost("gc");
    assert.equal(collected.code, 0, collected.stderr);
    assert.deepEqual(await traces(), []);
    assert.equal((await inHost("rm", "--force", "test-web")).code, 0);
    await world.assertNothingLeft();
  });
});

test("what cannot be had is refused, and nothing is left of the attempt", {
  skip: cannotNetwork,
}, async () => {
  const refused = (args: string[], pattern: RegExp) =>
    world.assertRefused(args, pattern, { under });
  await refused(["--network", "unknown"], /CNI_NETWORK_UNKNOWN/);
  await refused(["-p", "80:80"], /PUBLISH_UNSUPPORTED/);
  await refused(["--network", "/run/netns/gone"], /NETWORK_NAMESPACE_MISSING/);
  const plain = { type: "bridge", bridge: "br9", isGateway: true };
  const ipam = { type: "host-local", dataDir: network.leases, subnet: "10.66.0.0/24" };
  const write = (name: string, plugins: unknown[]): string =>
    world.write(`${name}.conflist`, JSON.stringify({ cniVersion: "1.0.0", name, plugins }));
  write("plain", [{ ...plain, ipam }]);
  write("lacking", [{ ...plain, ipam }, { type: "mukon-has-no-such-plugin" }]);
  write("broken", []);
  await refused(["--network", "plain", "-p", "80:80"], /PUBLISH_UNSUPPORTED/);
  await refused(["--network", "lacking"], /CNI_PLUGIN_MISSING.*|mukon-has-no-such-plugin/);
  await refused(["--network", "broken"], /CNI_NETWORK_INVALID/);
  assert.deepEqual(await traces(), []);
  assert.deepEqual(
    readdirSync(network.leases, { recursive: true }).filter((name) =>
      /\d+\.\d+\.\d+/.test(String(name)),
    ),
    [],
  );
});
