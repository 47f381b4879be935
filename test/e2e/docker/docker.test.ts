// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { whyNoContainerd } from "../../support/containerd-release.ts";
import { Docker } from "../../support/docker.ts";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";

const skip = whyNoContainerd() ?? cannotNetwork;
const SERVE =
  "mkdir /www; echo from $HOSTNAME > /www/index.html; exec busybox httpd -f -p 80 -h /www";
let world: PodWorld;
let network: NetworkWorld;
let docker: Docker;

before(async () => {
  if (skip !== false) return;
  world = new PodWorld({ settings: { "agent.kata": { dial_timeout: 300 } } });
  network = await NetworkWorld.make();
  docker = await Docker.start(world, network, { storage: "overlay2" });
});
after(async () => {
  if (skip !== false) return;
  await docker.close();
  await network.end();
  await world.end();
});

async function addressOf(name: string): Promise<string> {
  const format = "{{.NetworkSettings.IPAddress}}";
  return (await docker.docker(["inspect", "--format", format, name])).stdout.trim();
}

test("docker run gives output and exit code; with the default network it has Docker's address", {
  skip,
}, async () => {
  const script = "echo err >&2; busybox ip -4 -o addr show eth0; busybox ip route; exit 4";
  const { code, stdout, stderr } = await docker.run(["--rm"], ["sh", "-c", script], {
    allowFailure: true,
  });
  assert.deepEqual([code, stderr], [4, "err\n"], docker.log().slice(-3000));
  assert.match(stdout, /inet 172\.17\.0\.\d+\/16/);
  assert.match(stdout, /default via 172\.17\.0\.1 dev eth0/);
});

test("host and containers reach each other, and a published port leads to its container", {
  skip,
}, async () => {
  await docker.run(["-d", "--name", "one", "-h", "one"], ["sh", "-c", SERVE]);
  await docker.run(["-d", "--name", "two", "-h", "two", "-p", "8085:80"], ["sh", "-c", SERVE]);
  const [one, two] = [await addressOf("one"), await addressOf("two")];
  assert.equal(await network.fetch(network.host, `http://${one}/`), "from one\n");
  assert.equal(await network.fetch(network.host, "http://127.0.0.1:8085/"), "from two\n");
  const gateway = await network.serve(
    network.host,
    `require("http").createServer((q, a) => a.end("of the host")).listen(8086, "172.17.0.1", () => console.log("up"));`,
  );
  assert.equal(gateway, "up");
  const ask = (url: string) => docker.docker(["exec", "one", "busybox", "wget", "-qO-", url]);
  assert.equal((await ask(`http://${two}/`)).stdout, "from two\n");
  assert.equal((await ask("http://172.17.0.1:8086/")).stdout, "of the host");
});

test("a container that is restarted or killed has its network again, or none is left of it", {
  skip,
}, async () => {
  await docker.docker(["restart", "-t", "1", "two"]);
  assert.equal(await network.fetch(network.host, "http://127.0.0.1:8085/"), "from two\n");
  await docker.docker(["stop", "-t", "1", "two"]);
  await docker.docker(["start", "two"]);
  assert.equal(await network.fetch(network.host, "http://127.0.0.1:8085/"), "from two\n");
  await docker.docker(["kill", "one"]);
  const { stdout } = await docker.docker(["inspect", "--format", "{{.State.ExitCode}}", "one"]);
  assert.equal(stdout.trim(), "137");
  await docker.docker(["rm", "one"]);
  await docker.docker(["rm", "--force", "two"]);
  assert.deepEqual(await docker.leftovers(), []);
  await world.assertNothingLeft();
});

test("without a network it has only its loopback", { skip }, async () => {
  const { stdout } = await docker.run(
    ["--rm", "--network", "none"],
    ["busybox", "ip", "-o", "link"],
  );
  assert.doesNotMatch(stdout, /eth0/);
  assert.match(stdout, /lo:/);
});

test("in the end nothing is left of any of them", { skip }, async () => {
  assert.deepEqual(await docker.leftovers(), []);
  assert.deepEqual(await docker.containerd.leftovers(), []);
  await world.assertNothingLeft();
});
