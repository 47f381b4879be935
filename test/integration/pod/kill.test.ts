// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listProcesses, readProcessStatus } from "../../../src/linux/process-status.ts";
import { listTemplates } from "../../../src/sandbox/template/store.ts";
import { mukon, outcomeOf, startMukon } from "../../support/mukon.ts";
import { ARE_CLONED, PodWorld } from "../../support/pod-world.ts";

/** How many pods are started and attacked; more by hand: MUKON_TEST_KILL_ROUNDS=100. */
const ROUNDS = Number(process.env.MUKON_TEST_KILL_ROUNDS ?? 8);
const VICTIMS = ["mukon.cjs", "shim-daemon.cjs", "keeper.cjs", "qemu-system"];
/** Longer than what `mukon gc` leaves alone because it may be on its way. */
const SETTLE_MS = 11_000;
/** VMMs that are killed at once, or a few milliseconds later. */
const LAUNCHES = 6;
const LAUNCH_TIMEOUT_MS = 20_000;

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(async () => {
  await world.restoreTemplate();
  await world.end();
});

test("kill -9 of any process of a pod, at any moment, leaves nothing after mukon gc", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const victim = VICTIMS[round % VICTIMS.length] ?? "";
    const delayMs = randomInt(100, 9000);
    const child = startMukon(["run", "--rm", "busybox", "sleep", "1000"]);
    const outcome = outcomeOf(child, 60_000);
    await sleep(delayMs);
    const killed = killAll(victim);
    if (killed === 0) child.kill("SIGINT");
    const ended = await Promise.race([outcome, sleep(20_000)]);
    if (ended === undefined) child.kill("SIGKILL");
    await outcome;
    await sleep(SETTLE_MS);
    const gc = await mukon(["gc"]);
    assert.equal(gc.code, 0, gc.stderr);
    await world.assertNothingLeft(40_000).catch((error: Error) => {
      throw new Error(`after killing ${victim} at ${delayMs} ms: ${error.message}`);
    });
  }
});

test("kill -9 of the VMM as it is started is not laid to its template's charge", {
  skip: ARE_CLONED ? false : "the tests' pods boot",
}, async () => {
  await world.restoreTemplate();
  const before = listTemplates();
  for (let round = 0; round < LAUNCHES; round++) {
    const outcome = outcomeOf(startMukon(["run", "--rm", "busybox", "true"]));
    const deadline = Date.now() + LAUNCH_TIMEOUT_MS;
    while (killAll("qemu-system") === 0 && Date.now() < deadline) await sleep(round);
    const { code, stderr } = await outcome;
    assert.equal(code, 125, stderr);
  }
  assert.deepEqual(listTemplates(), before);
  await world.assertNothingLeft();
});

test("who waits for a container is told that its VMM was killed; one that ends with 255 is not lost", async () => {
  const chosen = await mukon(["run", "--rm", "busybox", "sh", "-c", "exit 255"]);
  assert.equal(chosen.code, 255);
  assert.doesNotMatch(chosen.stderr, /lost/);
  const running = outcomeOf(startMukon(["run", "--name", "lost", "busybox", "sleep", "1000"]));
  while ((await mukon(["exec", "lost", "true"])).code !== 0) await sleep(200);
  const beside = outcomeOf(startMukon(["exec", "lost", "sleep", "1000"]));
  await sleep(2000);
  killAll("qemu-system");
  for (const { code, stderr } of await Promise.all([running, beside])) {
    assert.equal(code, 255, stderr);
    assert.match(stderr, /lost: .*VMM ended \(SIGKILL\).*\[POD_ENDED\]\n +hint: /s);
  }
  assert.equal((await mukon(["rm", "lost"])).code, 0);
  await world.assertNothingLeft();
});

/** Kills all processes of our own world that run `program`, and nobody else's. */
function killAll(program: string): number {
  const victims = listProcesses().filter(
    (pid) => textOf(pid, "cmdline").includes(program) && isOurs(pid),
  );
  for (const pid of victims) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return victims.length;
}

/** Those that are still root have an environment that says where they belong. */
function isOurs(pid: number): boolean {
  const uid = readProcessStatus(pid)?.uids[0] ?? 0;
  if (uid >= world.ids.start && uid < world.ids.end) return true;
  return `${textOf(pid, "environ")}\0`.includes(`MUKON_RUN_ROOT=${world.runRoot}\0`);
}

function textOf(pid: number, file: "cmdline" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
