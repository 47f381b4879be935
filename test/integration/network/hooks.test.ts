// SPDX-License-Identifier: Apache-2.0
// A client's programs that make a container's network, as Docker's and nerdctl's do.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { readSandboxState } from "../../../src/host/sandbox-state.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "../../support/shim-client.ts";

const NAMESPACES = ["pid", "ipc", "uts", "mount", "cgroup", "network"].map((type) => ({ type }));
const POLL_MS = 20;
const TIMEOUT_MS = 120_000;
let world: PodWorld;
let containerd: FakeContainerd;
/** Makes an interface where the state's pid leads to. */
let networkHook: string;
/** Writes its state to the file that it is given. */
let recordHook: string;

before(async () => {
  world = new PodWorld();
  containerd = await FakeContainerd.listen(world.directory);
  networkHook = world.executable(
    "network-hook",
    `#!/bin/sh -e
pid=$(sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p')
there() { nsenter --net=/proc/$pid/ns/net ip "$@"; }
there link add eth0 type veth peer name far0
there link set far0 up
there link set eth0 up
there address add 10.77.0.2/24 dev eth0
there route add default via 10.77.0.1
`,
  );
  recordHook = world.executable("record-hook", `#!/bin/sh\ncat > "$1"\n`);
});
after(async () => {
  containerd.close();
  await world.end();
});

class HookedPod {
  readonly bundle: Bundle;
  readonly #id: string;

  constructor(id: string, hooks: Record<string, object[]>) {
    this.#id = id;
    const linux = { namespaces: NAMESPACES };
    const end = { path: recordHook, args: ["record", this.record("stopped")] };
    const all = { poststop: [end], ...hooks } as never;
    const words = ["sh", "-c", "ip -4 -o addr show eth0; ip route; echo shown; exec sleep 1000"];
    this.bundle = new Bundle(world.directory, id, words, { linux, hooks: all });
  }

  record(name: string): string {
    return join(world.directory, `${this.#id}-${name}`);
  }

  async begin(): Promise<ShimClient> {
    const output = await runShim(this.#call(), "start");
    assert.equal(output.code, 0, output.stderr);
    return await ShimClient.connect(this.bundle.address);
  }

  async delete(): Promise<void> {
    const { code, stderr } = await runShim(this.#call(), "delete");
    assert.equal(code, 0, stderr);
  }

  #call() {
    return { directory: this.bundle.directory, id: this.#id, containerd };
  }
}

test("a hook makes the guest's network, in a namespace that is not the VMM's", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const id = "hooked";
  const pod = new HookedPod(id, {
    createRuntime: [{ path: networkHook }],
    poststart: [{ path: recordHook, args: ["record", join(world.directory, `${id}-running`)] }],
  });
  const shim = await pod.begin();
  t.after(() => shim.close());
  const { path, ended, text } = await pod.bundle.output("out");
  await shim.create(pod.bundle, { stdout: path });
  await shim.start(id);
  while (!text().includes("shown")) await sleep(POLL_MS);
  const { pid } = JSON.parse(readFileSync(pod.record("running"), "utf8"));
  assert.equal((await shim.state(id)).pid, pid, "its client finds the same network");
  const processes = readSandboxState(`test..${id}`)?.processes;
  const networkOf = (process: number | undefined) => readlinkSync(`/proc/${process}/ns/net`);
  const apart = [processes?.vmm?.pid, processes?.keeper?.pid, process.pid].map(networkOf);
  assert.ok(!apart.includes(networkOf(pid)));
  const audit = await mukon(["audit", `test..${id}`]);
  assert.equal(audit.code, 0, audit.stdout + audit.stderr);
  assert.match(audit.stdout, /network/);
  assert.ok(!existsSync(pod.record("stopped")));
  await shim.kill(id, 9);
  await shim.wait(id);
  await shim.delete(id);
  assert.match(readFileSync(pod.record("stopped"), "utf8"), /"status":"stopped"/);
  await shim.shutdown(id);
  shim.close();
  const said = await ended;
  assert.match(said, /inet 10\.77\.0\.2\/24/);
  assert.match(said, /default via 10\.77\.0\.1/);
  await world.assertNothingLeft();
});

test("a hook that fails keeps the container from being made, and nothing is left", async (t) => {
  const id = "unhooked";
  const failing = { path: "/bin/sh", args: ["sh", "-c", "echo no address left >&2; exit 1"] };
  const pod = new HookedPod(id, { prestart: [failing] });
  const shim = await pod.begin();
  t.after(() => shim.close());
  await assert.rejects(shim.create(pod.bundle), /no address left.*HOOK_FAILED/s);
  assert.ok(existsSync(pod.record("stopped")), "what hooks have made can be undone by them");
  await shim.shutdown(id).catch(() => {});
  shim.close();
  await world.assertNothingLeft();
});

test("hooks for the end are run for a container whose shim was killed", async (t) => {
  const id = "orphan";
  const pod = new HookedPod(id, {});
  const shim = await pod.begin();
  t.after(() => shim.close());
  await shim.create(pod.bundle);
  process.kill(readSandboxState(`test..${id}`)?.processes.shim.pid ?? 0, "SIGKILL");
  shim.close();
  await pod.delete();
  assert.ok(existsSync(pod.record("stopped")));
  await world.assertNothingLeft();
});
