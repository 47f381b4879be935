// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { whyNoContainerd } from "../../support/containerd-release.ts";
import { Nerdctl, whyNoNerdctl } from "../../support/nerdctl.ts";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { PseudoTerminal } from "../../support/pseudo-terminal.ts";

const skip = whyNoNerdctl() ?? whyNoContainerd() ?? cannotNetwork;
const SERVE =
  "mkdir /www; echo from $HOSTNAME > /www/x; echo ready; exec busybox httpd -f -p 80 -h /www";
let world: PodWorld;
let network: NetworkWorld;
let client: Nerdctl;

before(async () => {
  if (skip !== false) return;
  world = new PodWorld({ settings: { "agent.kata": { dial_timeout: 300 } } });
  network = await NetworkWorld.make();
  client = await Nerdctl.start(world, network);
});
after(async () => {
  if (skip !== false) return;
  await client.close();
  await network.end();
  await world.end();
});

async function addressOf(name: string): Promise<string> {
  const { stdout } = await client.nerdctl(["inspect", "--format", "{{json .}}", name]);
  return JSON.parse(stdout).NetworkSettings.IPAddress;
}

test("nerdctl run gives output and exit code, with an address of its bridge", {
  skip,
}, async () => {
  const words = client.runWords(["--rm"], ["sh", "-c", "busybox ip -4 -o addr show eth0; exit 4"]);
  const { code, stdout, stderr } = await client.nerdctl(words, { allowFailure: true });
  assert.equal(code, 4, stderr + client.containerd.log().slice(-3000));
  assert.match(stdout, /inet 10\.4\.0\.\d+\/24/);
});

test("with a terminal", { skip }, async () => {
  const words = client.words(client.runWords(["--rm", "-it"], ["sh", "-c", "stty size; exit 5"]));
  const { code, shown } = await new PseudoTerminal(words, { columns: 81, rows: 23 }).ended;
  assert.equal(code, 5, shown);
  assert.match(shown, /^\d+ \d+\r\n/m, "it is a terminal");
});

test("a container that was detached: its web page, a published port, logs, exec, volumes", {
  skip,
}, async () => {
  const volume = join(client.containerd.directory, "volume");
  mkdirSync(volume);
  writeFileSync(join(volume, "in"), "of the host");
  const flags = ["-d", "--name", "web", "-h", "web", "-p", "8085:80", "-v", `${volume}:/v`];
  await client.nerdctl(client.runWords(flags, ["sh", "-c", SERVE]));
  assert.equal(
    await network.fetch(network.host, `http://${await addressOf("web")}/x`),
    "from web\n",
  );
  assert.equal(await network.fetch(network.host, "http://127.0.0.1:8085/x"), "from web\n");
  assert.equal((await client.nerdctl(["logs", "web"])).stdout, "ready\n");
  const script = "cat /v/in; echo back > /v/out; exit 6";
  const exec = await client.nerdctl(["exec", "web", "sh", "-c", script], { allowFailure: true });
  assert.equal(exec.stdout, "of the host");
  // Its own exit code is 1, whatever that of the command was.
  assert.match(exec.stderr, /exit code 6\b/);
  assert.equal(readFileSync(join(volume, "out"), "utf8"), "back\n");
});

test("stop, start and rm: its network comes back, and goes", { skip }, async () => {
  await client.nerdctl(["stop", "-t", "1", "web"]);
  await client.nerdctl(["start", "web"]);
  assert.equal(await network.fetch(network.host, "http://127.0.0.1:8085/x"), "from web\n");
  await client.nerdctl(["rm", "--force", "web"]);
  assert.deepEqual(await client.leftovers(), []);
  assert.deepEqual(await client.containerd.leftovers(), []);
  await world.assertNothingLeft();
});
