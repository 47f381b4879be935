// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { mukon, startMukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const MEBIBYTE = 1024 * 1024;
let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

test("limits of memory, processes and processors are those of the container's cgroup", async () => {
  const script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max";
  const limits = ["--memory", "64m", "--pids-limit", "20", "--cpus", "0.5"];
  const result = await mukon(["run", "--rm", ...limits, "busybox", "sh", "-c", script]);
  assert.equal(result.stdout, `${64 * MEBIBYTE}\n20\n50000 100000\n`, result.stderr);
});

test("a container that takes more memory than it may is killed, and the guest lives on", async () => {
  const name = "test-oom";
  await mukon([
    "run",
    "-d",
    "--name",
    name,
    "--memory",
    "64m",
    "busybox",
    "sh",
    "-c",
    "tail /dev/zero; echo $?; sleep 1000",
  ]);
  const exec = await mukon(["exec", name, "echo", "alive"]);
  assert.equal(exec.stdout, "alive\n", exec.stderr);
  const alone = await mukon(["run", "--rm", "--memory", "64m", "busybox", "tail", "/dev/zero"]);
  assert.equal(alone.code, 137, alone.stderr);
  await mukon(["rm", "--force", name]);
});

test("a fork bomb costs only its own container", async () => {
  const bomb = "f() { f | f & }; f; sleep 5";
  const result = await mukon([
    "run",
    "--rm",
    "--pids-limit",
    "64",
    "--timeout",
    "30s",
    "busybox",
    "sh",
    "-c",
    bomb,
  ]);
  assert.notEqual(result.code, null);
});

test("100 MB of output arrive whole", async () => {
  const child = startMukon([
    "run",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "dd if=/dev/zero bs=1M count=100 2>/dev/null",
  ]);
  const hash = createHash("sha256");
  let length = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  const code = await new Promise((done) => child.once("close", done));
  assert.equal(code, 0);
  assert.equal(length, 100 * MEBIBYTE);
  assert.equal(
    hash.digest("hex"),
    createHash("sha256")
      .update(Buffer.alloc(100 * MEBIBYTE))
      .digest("hex"),
  );
});

test("eight pods at once are eight VMs that do not know of each other", async () => {
  const runs = Array.from({ length: 8 }, (_, index) =>
    mukon(
      [
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        `echo pod ${index}; cat /proc/sys/kernel/random/boot_id`,
      ],
      { timeoutMs: 300_000 },
    ),
  );
  const results = await Promise.all(runs);
  results.forEach((result, index) => {
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, new RegExp(`^pod ${index}\n`));
  });
  assert.equal(new Set(results.map((result) => result.stdout.split("\n")[1])).size, 8);
});
