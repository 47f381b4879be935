// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { after, before, test } from "node:test";
import { readSandboxState } from "../../../src/host/sandbox-state.ts";
import { mukon } from "../../support/mukon.ts";
import { cannotNetwork, NetworkWorld } from "../../support/network-world.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { descriptorsOf } from "../../support/process-facts.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "../../support/shim-client.ts";

const SERVICE_V3 = "containerd.task.v3.Task";
const MEGABYTES = 16;

/** Sends so many bytes of its own to whoever asks, takes what is posted, and tells the hash. */
const SERVER = `
const { createServer } = require("node:http");
const { createHash, randomBytes } = require("node:crypto");
const body = randomBytes(${MEGABYTES} << 20);
const hash = (data) => createHash("sha256").update(data).digest("hex");
createServer((request, response) => {
  if (request.method !== "POST") return response.end(request.url === "/hash" ? hash(body) : body);
  const taken = createHash("sha256");
  request.on("data", (chunk) => taken.update(chunk)).on("end", () => response.end(taken.digest("hex")));
}).listen(80, "::", () => console.log("listening"));`;

let world: PodWorld;
let network: NetworkWorld;
let containerd: FakeContainerd;

before(async () => {
  if (cannotNetwork) return;
  world = new PodWorld();
  containerd = await FakeContainerd.listen(world.directory);
  network = await NetworkWorld.make();
});
after(async () => {
  if (cannotNetwork) return;
  containerd.close();
  await network.end();
  await world.end();
});

const bridge = (name: string, subnets: string[], routes: unknown[] = []) => ({
  ...{ name, type: "bridge", bridge: name, isGateway: true, mtu: 1400 },
  ipam: {
    type: "host-local",
    dataDir: network.leases,
    ranges: subnets.map((subnet) => [{ subnet }]),
    routes,
  },
});

class NetworkedPod {
  readonly bundle: Bundle;
  readonly namespace: string;
  readonly #shim: ShimClient;
  #execs = 0;

  private constructor(bundle: Bundle, namespace: string, shim: ShimClient) {
    this.bundle = bundle;
    this.namespace = namespace;
    this.#shim = shim;
  }

  static async begin(id: string, namespace: string): Promise<NetworkedPod> {
    const namespaces = ["pid", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type }));
    const linux = { namespaces: [...namespaces, { type: "network", path: namespace }] };
    const bundle = new Bundle(world.directory, id, ["httpd", "-f", "-h", "/etc"], { linux });
    const call = { directory: bundle.directory, id, containerd };
    const output = await runShim(call, "start");
    assert.equal(output.code, 0, output.stderr);
    return new NetworkedPod(
      bundle,
      namespace,
      await ShimClient.connect(bundle.address, SERVICE_V3),
    );
  }

  async start(): Promise<this> {
    await this.#shim.create(this.bundle);
    await this.#shim.start(this.bundle.id);
    return this;
  }

  get state() {
    return readSandboxState(`test..${this.bundle.id}`);
  }

  /** What a shell in the pod prints, and its exit status. */
  async sh(script: string): Promise<{ status: number; output: string }> {
    const execId = `e${++this.#execs}`;
    const { id } = this.bundle;
    const { path, ended } = await this.bundle.output(execId);
    await this.#shim.exec(id, execId, ["sh", "-c", script], { stdout: path, stderr: path });
    await this.#shim.start(id, execId);
    const status = await this.#shim.wait(id, execId);
    await this.#shim.delete(id, execId);
    return { status, output: (await ended).trim() };
  }

  async assertRuns(script: string): Promise<string> {
    const { status, output } = await this.sh(script);
    assert.equal(status, 0, `${script}: ${output}`);
    return output;
  }

  async end(): Promise<void> {
    const { id } = this.bundle;
    await this.#shim.kill(id, 9);
    await this.#shim.wait(id);
    await this.#shim.delete(id);
    await this.#shim.shutdown(id);
    this.#shim.close();
  }

  async abandon(): Promise<void> {
    await this.#shim.shutdown(this.bundle.id).catch(() => {});
    this.#shim.close();
  }

  async delete(): Promise<void> {
    const call = { directory: this.bundle.directory, id: this.bundle.id, containerd };
    const { code, stderr } = await runShim(call, "delete");
    assert.equal(code, 0, stderr);
    this.#shim.close();
  }
}

test("two pods have the network that CNI gave them", { skip: cannotNetwork }, async (t) => {
  const tunMode = statSync("/dev/net/tun").mode;
  const pods = { a: await network.addNamespace("a"), b: await network.addNamespace("b") };
  const main = bridge(
    "br0",
    ["10.99.0.0/24", "fd99::/64"],
    [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
  );
  const second = bridge("br1", ["10.98.0.0/24"]);
  const addresses: Record<string, string[]> = {};
  for (const [id, namespace] of Object.entries(pods)) {
    const { ips } = await network.cni("ADD", main, { id, namespace, name: "eth0" });
    addresses[id] = ips.map(({ address }) => address.split("/")[0] ?? "");
  }
  // The second one comes first by name, and takes the name that the first one has in the guest.
  await network.cni("ADD", second, { id: "a", namespace: pods.a, name: "net1" });
  const ipA = ["nsenter", `--net=${pods.a}`, "--", "ip"];
  await network.inHost([
    ...ipA,
    "neigh",
    "add",
    "10.99.0.77",
    "lladdr",
    "02:00:00:00:00:77",
    "dev",
    "eth0",
    "nud",
    "permanent",
  ]);
  await network.inHost([
    ...ipA,
    "neigh",
    "add",
    "fd99::77",
    "lladdr",
    "02:00:00:00:00:78",
    "dev",
    "eth0",
    "nud",
    "permanent",
  ]);
  await network.inHost([
    ...ipA,
    "route",
    "add",
    "192.0.2.0/24",
    "via",
    "169.254.7.7",
    "dev",
    "net1",
    "onlink",
  ]);
  assert.equal(await network.serve(network.host, SERVER), "listening");

  const a = await (await NetworkedPod.begin("a", pods.a)).start();
  const b = await (await NetworkedPod.begin("b", pods.b)).start();
  const [b4 = "", b6 = ""] = addresses.b ?? [];

  await t.test(
    "addresses, size of packets, routes and neighbours are those of the namespace",
    async () => {
      const links = await a.assertRuns("ip addr show");
      const inside = await network.in(pods.a, ["cat", "/sys/class/net/lo/address"]);
      assert.ok(inside);
      for (const address of addresses.a ?? []) assert.ok(links.includes(`${address}/`), links);
      assert.match(links, /eth0: .* mtu 1400 /);
      assert.match(links, /net1: .* mtu 1400 /);
      for (const name of ["eth0", "net1"]) {
        const out = await network.in(pods.a, ["ip", "-oneline", "link", "show", "dev", name]);
        const mac = /link\/ether (\S+)/.exec(out)?.[1] ?? "none";
        assert.ok(links.includes(mac), `${name} has another hardware address: ${links}`);
      }
      const routes = await a.assertRuns("ip route; ip -6 route");
      assert.match(routes, /^default via 10\.99\.0\.1 dev eth0/m);
      assert.match(routes, /^default via fd99::1 dev eth0/m);
      assert.match(routes, /^10\.98\.0\.0\/24 dev net1/m);
      assert.match(routes, /^192\.0\.2\.0\/24 via 169\.254\.7\.7 dev net1/m);
      const neighbours = await a.assertRuns("ip neigh");
      assert.match(neighbours, /^10\.99\.0\.77 dev eth0 lladdr 02:00:00:00:00:77 .*PERMANENT/m);
      assert.match(neighbours, /^fd99::77 dev eth0 lladdr 02:00:00:00:00:78 .*PERMANENT/m);
    },
  );

  await t.test(
    "they reach each other, the host and its second network, by IPv4 and IPv6",
    async () => {
      for (const target of ["10.99.0.1", "fd99::1", b4, b6, "10.98.0.1"]) {
        await a.assertRuns(`ping -c 1 -W 5 ${target}`);
      }
      for (const target of addresses.a ?? []) {
        await b.assertRuns(`ping -c 1 -W 5 ${target}`);
      }
      // Larger than a packet may be: it must not need to be.
      await a.assertRuns(`ping -c 1 -W 5 -s 4000 ${b4}`);
      await a.assertRuns(`wget -q -O - http://${b4}/hosts | grep localhost`);
      for (const host of [b4, `[${b6}]`]) {
        assert.match(await network.fetch(network.host, `http://${host}/hosts`), /localhost/);
      }
    },
  );

  await t.test(`${MEGABYTES} MiB arrive whole, in both directions`, async () => {
    for (const host of ["10.99.0.1", "[fd99::1]"]) {
      const url = `http://${host}`;
      const [want, got] = (
        await a.assertRuns(`wget -q -O - ${url}/hash; echo; wget -q -O - ${url}/ | sha256sum`)
      ).split("\n");
      assert.equal(got?.split(" ")[0], want);
    }
    // Text, since busybox posts a file only up to its first NUL.
    const script = `dd if=/dev/urandom bs=1M count=${MEGABYTES} 2>/dev/null | base64 >/tmp/f
      sha256sum </tmp/f; wget -q -O - --post-file /tmp/f http://10.99.0.1/`;
    const [want, got] = (await a.assertRuns(script)).split("\n");
    assert.equal(got, want?.split(" ")[0]);
  });

  await t.test("the VMM has the tap devices and nothing else of a network", async () => {
    const { vmm } = a.state?.processes ?? {};
    const taps = descriptorsOf(vmm?.pid ?? 0).filter(({ target }) => target === "/dev/net/tun");
    assert.equal(taps.length, 2);
    const links = await network.in(`/proc/${vmm?.pid}/ns/net`, ["ip", "-oneline", "link"]);
    assert.match(links, /^1: lo: <LOOPBACK> .*state DOWN[^\n]*\n?$/, "only a loopback that is off");
    assert.equal(statSync("/dev/net/tun").mode, tunMode);
    assert.deepEqual(a.state?.network?.map(({ name, tap }) => `${name} ${tap}`).sort(), [
      "eth0 tap0_kata",
      "net1 tap1_kata",
    ]);
    const audit = await mukon(["audit", "test..a"]);
    assert.equal(audit.code, 0, audit.stdout);
  });

  await t.test("a pod that ends leaves its namespace as it was", async () => {
    assert.equal((await network.traces(pods.a)).length, 6);
    await a.end();
    assert.deepEqual(await network.traces(pods.a), []);
    assert.match(await network.fetch(pods.a, "http://10.99.0.1/hash"), /^[0-9a-f]{64}$/);
  });

  await t.test("so does one whose shim, or whose VMM, is killed", async () => {
    process.kill(b.state?.processes.shim.pid ?? 0, "SIGKILL");
    await b.delete();
    assert.deepEqual(await network.traces(pods.b), []);
  });
});

test("a namespace that is gone, the host's, or no namespace is refused", {
  skip: cannotNetwork,
}, async () => {
  const cases: [string, RegExp][] = [
    ["/run/netns/mukon-is-not-there", /NETWORK_NAMESPACE_MISSING/],
    ["/proc/self/ns/net", /NETWORK_HOST_REFUSED/],
    ["/etc/passwd", /NETWORK_NAMESPACE_MISSING/],
    ["/proc/1/ns/mnt", /NETWORK_NAMESPACE_MISSING/],
  ];
  for (const [index, [path, pattern]] of cases.entries()) {
    const pod = await NetworkedPod.begin(`refused-${index}`, path);
    await assert.rejects(pod.start(), pattern);
    await pod.abandon();
  }
  await world.assertNothingLeft();
});
