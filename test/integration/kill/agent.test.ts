// SPDX-License-Identifier: Apache-2.0
// The agent is killed in its guest: while that boots, while a container is made, while it runs, and
// while it is removed. A dead agent is a dead VM.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type AgentDeath,
  CONTAINER_COMMAND,
  makeDyingGuest,
} from "../../support/kill/dying-guest.ts";
import { mukon, type Outcome } from "../../support/mukon.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";

/** As `mukon run` ends for a pod that did not start, and for one that is lost. */
const [NOT_STARTED, LOST] = [125, 255];

let world: PodWorld;
let neighbour: Pod;
let dying: (death: AgentDeath) => Record<string, string>;
before(async () => {
  world = new PodWorld();
  dying = await makeDyingGuest(world);
  neighbour = await world.start("neighbour", ["busybox", "sleep", "1000"]);
  world.keepWhatIsThere();
});
after(() => world.end());

async function run(death: AgentDeath, ...options: string[]): Promise<Outcome> {
  const config = world.configuration(`${death}.toml`, { "hypervisor.qemu": dying(death) });
  const image = ["busybox", ...CONTAINER_COMMAND];
  return await mukon(["run", "--config", config, ...options, ...image]);
}

async function startAndRemove(): Promise<Outcome> {
  const name = "removed";
  const started = await run("removing", "-d", "--name", name);
  assert.equal(started.code, 0, started.stderr);
  return await mukon(["rm", "--force", name]);
}

test("kill -9 of the agent at any time: the client is told, and nothing is left", async () => {
  const [booting, creating, running, removed] = await Promise.all([
    run("booting", "--rm"),
    run("creating", "--rm"),
    run("running", "--rm"),
    startAndRemove(),
  ]);
  assert.equal(booting.code, NOT_STARTED, booting.stderr);
  // It may have been made, just then.
  assert.ok([NOT_STARTED, LOST].includes(creating.code ?? 0), creating.stderr);
  for (const one of [booting, creating].filter(({ code }) => code === NOT_STARTED)) {
    assert.match(one.stderr, /\b[A-Z]+_[A-Z_]+\b/, "it has a code");
    assert.match(one.stderr, /hint: /);
    assert.doesNotMatch(one.stderr, /INTERNAL/);
  }
  assert.match(booting.stderr, /the agent ended with code 137/);
  assert.equal(running.code, LOST, running.stderr);
  assert.equal(removed.code, 0, removed.stderr);
  await world.assertNothingLeft();
  const { stdout, stderr } = await mukon(["exec", neighbour.id, "echo", "unharmed"]);
  assert.equal(stdout, "unharmed\n", stderr);
});
