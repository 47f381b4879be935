// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cgroupHierarchies } from "../../../src/host/cgroups/hierarchies.ts";
import { Containerd } from "../../support/containerd.ts";
import { whyNoContainerd } from "../../support/containerd-release.ts";
import { PodWorld } from "../../support/pod-world.ts";

const skip = whyNoContainerd() ?? false;
let world: PodWorld;
let containerd: Containerd;
/** One container that most tests share. */
const POD = "shared";

before(async () => {
  if (skip !== false) return;
  // Ten guests that boot at once on two processors, by emulation, take their time.
  world = new PodWorld({ blocks: 24, settings: { "agent.kata": { dial_timeout: 300 } } });
  containerd = await Containerd.start(world);
  const script = "trap 'echo told; exit 7' TERM; while :; do sleep 0.1; done";
  const log = join(containerd.directory, "shared.log");
  await containerd.run(POD, ["sh", "-c", script], {
    flags: ["--detach", "--log-uri", `file://${log}`],
  });
});
after(async () => {
  if (skip !== false) return;
  await containerd.close();
  await world.end();
});

async function exec(execId: string, ...words: string[]) {
  return await containerd.ctr(["task", "exec", "--exec-id", execId, ...words], {
    allowFailure: true,
  });
}

async function statusOf(id: string): Promise<string> {
  const { stdout } = await containerd.ctr(["task", "list"]);
  const line = stdout.split("\n").find((one) => one.startsWith(`${id} `));
  return line?.trim().split(/\s+/)[2] ?? "none";
}

async function awaitStatus(id: string, status: string): Promise<void> {
  for (const deadline = Date.now() + 30_000; (await statusOf(id)) !== status; await sleep(100)) {
    if (Date.now() > deadline) assert.equal(await statusOf(id), status);
  }
}

test("ctr run gives output and exit code, and leaves nothing", { skip }, async () => {
  world.keepWhatIsThere();
  const script = "echo out; echo err >&2; exit 3";
  const outcome = await containerd.run("once", ["sh", "-c", script], {
    flags: ["--rm"],
    allowFailure: true,
  });
  assert.deepEqual(
    [outcome.code, outcome.stdout, outcome.stderr],
    [3, "out\n", "err\n"],
    containerd.log().slice(-2000),
  );
  await world.assertNothingLeft();
  for (const { mountPoint } of cgroupHierarchies()) {
    assert.ok(!existsSync(join(mountPoint, "mukon-e2e", "once")));
  }
});

test("exec: output, exit code, a program that is missing, a terminal", { skip }, async () => {
  const plain = await exec("e1", POD, "sh", "-c", "echo hello; exit 5");
  assert.deepEqual([plain.code, plain.stdout], [5, "hello\n"]);
  const missing = await exec("e2", POD, "/nowhere/program");
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /\/nowhere\/program/);
  const { stdout } = await exec("e3", POD, "cat", "/proc/1/cmdline");
  assert.match(stdout, /trap/, "it is in the same container");
});

test("metrics are the guest container's, and the host has its processes in one cgroup", {
  skip,
}, async () => {
  const { stdout } = await containerd.ctr(["task", "metrics", "--format", "json", POD]);
  const text = JSON.stringify(JSON.parse(stdout));
  assert.match(text, /usage/);
  const { stdout: table } = await containerd.ctr(["task", "metrics", POD]);
  const usage = /memory\.usage(?:_in_bytes)?\s+(\d+)/.exec(table)?.[1];
  assert.ok(Number(usage) > 0 && Number(usage) < 64 * 1024 * 1024, table);
  const { stdout: pids } = await containerd.ctr(["task", "ps", POD]);
  const pid = /^(\d+)/m.exec(pids)?.[1];
  assert.match(readFileSync(`/proc/${pid}/cgroup`, "utf8"), /:\/mukon-e2e\/shared$/m);
});

test("pause stops it, resume lets it go on, and both are seen", { skip }, async () => {
  await containerd.ctr(["task", "pause", POD]);
  assert.equal(await statusOf(POD), "PAUSED");
  await containerd.ctr(["task", "resume", POD]);
  assert.equal(await statusOf(POD), "RUNNING");
  assert.equal((await exec("e4", POD, "echo", "on")).stdout, "on\n");
});

test("containerd is killed and restarted: the pod lives on, and its end is told", {
  skip,
}, async () => {
  await containerd.run("ends", ["sh", "-c", "sleep 8; exit 9"], {
    flags: ["--detach", "--null-io"],
  });
  await containerd.stop("SIGKILL");
  await sleep(1_000);
  await containerd.launch();
  assert.equal(await statusOf(POD), "RUNNING");
  assert.equal((await exec("e5", POD, "echo", "still here")).stdout, "still here\n");
  await awaitStatus("ends", "STOPPED");
  const { stdout } = await containerd.ctr(["task", "rm", "ends"], { allowFailure: true });
  assert.doesNotMatch(stdout, /RUNNING/);
  await containerd.ctr(["container", "rm", "ends"]);
});

test("a signal reaches the container, whose exit code is the client's", { skip }, async () => {
  await containerd.ctr(["task", "kill", "--signal", "SIGTERM", POD]);
  await awaitStatus(POD, "STOPPED");
  const removed = await containerd.ctr(["task", "rm", POD]);
  assert.match(removed.stderr, /exit code 7\b/);
  await containerd.ctr(["container", "rm", POD]);
  assert.match(readFileSync(join(containerd.directory, "shared.log"), "utf8"), /told/);
});

test("10 containers at once, each with its own output", { skip }, async () => {
  const ids = Array.from({ length: 10 }, (_, index) => `many-${index}`);
  const outcomes = await Promise.all(
    ids.map((id) => containerd.run(id, ["echo", id], { flags: ["--rm"], allowFailure: true })),
  );
  assert.deepEqual(
    outcomes.map(({ stdout, stderr }) => stdout.trim() || stderr),
    ids,
  );
});

test("in the end nothing is left of any of them", { skip }, async () => {
  assert.deepEqual(await containerd.leftovers(), []);
});
