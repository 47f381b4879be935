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

  await t.test("exec -u knows the users that the container has now", async () => {
    const change = [
      "mkdir /outside && echo bob:x:1234:100::/tmp:/bin/sh > /outside/passwd",
      "ln -sf /outside/passwd /etc/passwd",
      "echo team:x:77:bob > /etc/group",
    ];
    assert.equal((await mukon(["exec", name, "sh", "-c", change.join(" && ")])).code, 0);
    const show = ["sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status"];
    const bob = await mukon(["exec", "-u", "bob", name, ...show]);
    assert.equal(bob.stdout, "1234\n100\n100 77\nCapEff:\t0000000000000000\n", bob.stderr);
    const inTeam = await mukon(["exec", "-u", "bob:team", name, "id", "-G"]);
    assert.equal(inTeam.stdout, "77\n", inTeam.stderr);
    const root = await mukon(["exec", "-u", "0", name, ...show]);
    assert.doesNotMatch(root.stdout, /CapEff:\t0000000000000000/);
    // A user of the image that is no more.
    assert.equal((await mukon(["exec", name, "rm", "/etc/passwd"])).code, 0);
    const gone = await mukon(["exec", "-u", "daemon", name, "id"]);
    assert.equal(gone.code, 125);
    assert.match(gone.stderr, /no user "daemon".*\[USER_NOT_FOUND\]\n {2}hint: /);
  });

  await t.test("exec of a program that is not there ends with 127", async () => {
    const result = await mukon(["exec", name, "nothing"]);
    assert.equal(result.code, 127);
    assert.match(result.stderr, /CONTAINER_PROGRAM_NOT_FOUND/);
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
  // Its input stays open although nobody is there to write to it.
  await mukon(["run", "-d", "-i", "--name", name, "busybox", "cat"]);
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
