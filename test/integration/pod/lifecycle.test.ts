// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mukon, outcomeOf, startMukon, waitForOutput } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const name = "test-lifecycle";
let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

test("a detached container is listed, entered, read, stopped and removed", async (t) => {
  const script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
  const started = await mukon(["run", "-d", "--name", name, "busybox", "sh", "-c", script]);
  assert.equal(started.code, 0, started.stderr);
  const id = started.stdout.trim();
  assert.match(id, /^[0-9a-f]{12}$/);

  await t.test("its name is taken", async () => {
    const second = await mukon(["run", "-d", "--name", name, "busybox", "true"]);
    assert.equal(second.code, 125);
    assert.match(second.stderr, /CONTAINER_NAME_IN_USE/);
  });

  await t.test("ps shows it, as text and as JSON", async () => {
    const text = await mukon(["ps"]);
    assert.match(text.stdout, new RegExp(`${id}.*running.*${name}`));
    assert.equal((await listed(["--json"]))?.status, "running");
  });

  await t.test("exec runs beside it, with its own exit code and input", async () => {
    const result = await mukon(
      ["exec", "-i", "-e", "X=1", name, "sh", "-c", "cat; echo $X; exit 9"],
      { input: "in\n" },
    );
    assert.deepEqual([result.code, result.stdout], [9, "in\n1\n"], result.stderr);
  });

  await t.test("logs has its output so far, and follows it to the end", async () => {
    const follower = startMukon(["logs", "-f", name]);
    await waitForOutput(follower, "ready");
    const ended = outcomeOf(follower);
    const stopped = await mukon(["stop", name]);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.match((await ended).stdout, /bye/);
  });

  await t.test("ended, it is listed with its exit code only by ps --all", async () => {
    assert.ok(!(await mukon(["ps"])).stdout.includes(name));
    const ended = await listed(["--all", "--json"]);
    assert.equal(ended?.status, "exited");
    assert.equal(ended?.exit?.status, 3);
  });

  await t.test("exec and kill say that it does not run", async () => {
    for (const args of [
      ["exec", name, "true"],
      ["kill", name],
    ]) {
      const result = await mukon(args);
      assert.equal(result.code, 125);
      assert.match(result.stderr, /CONTAINER_NOT_RUNNING/);
    }
  });

  await t.test("rm removes it", async () => {
    assert.equal((await mukon(["rm", name])).code, 0);
    assert.match((await mukon(["inspect", name])).stderr, /CONTAINER_NOT_FOUND/);
  });
});

test("kill ends a container with 128 + the signal; rm refuses a running one unless forced", async () => {
  await mukon(["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
  const refused = await mukon(["rm", name]);
  assert.match(refused.stderr, /CONTAINER_RUNNING/);
  assert.equal((await mukon(["kill", name])).code, 0);
  await mukon(["logs", "-f", name]);
  const ended = await listed(["--all", "--json"]);
  assert.equal(ended?.exit?.status, 137);
  assert.equal((await mukon(["rm", name])).code, 0);

  await mukon(["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
  assert.equal((await mukon(["rm", "--force", name])).code, 0);
});

test("-d --rm leaves nothing once the container has ended", async () => {
  const started = await mukon(["run", "-d", "--rm", "--name", name, "busybox", "sleep", "1"]);
  assert.equal(started.code, 0, started.stderr);
  await world.assertNothingLeft(30_000);
});

test("--timeout kills, and the exit code tells", async () => {
  const result = await mukon(["run", "--rm", "--timeout", "1s", "busybox", "sleep", "1000"]);
  assert.equal(result.code, 137, result.stderr);
});

interface Listed {
  name: string;
  status: string;
  exit?: { status: number };
}

async function listed(options: readonly string[]): Promise<Listed | undefined> {
  const all: Listed[] = JSON.parse((await mukon(["ps", ...options])).stdout);
  return all.find((container) => container.name === name);
}
