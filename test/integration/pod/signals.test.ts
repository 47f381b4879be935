// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { outcomeOf, startMukon, waitForOutput } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

test("Ctrl-C and SIGTERM reach the container", async () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const script = `trap 'echo got ${signal}; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.1; done`;
    const child = startMukon(["run", "--rm", "busybox", "sh", "-c", script]);
    const outcome = outcomeOf(child);
    await waitForOutput(child, "ready");
    child.kill(signal);
    const { code, stdout } = await outcome;
    assert.equal(code, 5);
    assert.match(stdout, new RegExp(`got ${signal}`));
  }
});

test("a second Ctrl-C kills a container that ignores the first", async () => {
  const script = "trap 'echo ignored' INT; echo ready; while :; do sleep 0.1; done";
  const child = startMukon(["run", "--rm", "busybox", "sh", "-c", script]);
  const outcome = outcomeOf(child);
  await waitForOutput(child, "ready");
  child.kill("SIGINT");
  await waitForOutput(child, "ignored");
  child.kill("SIGINT");
  assert.equal((await outcome).code, 137);
});

const STARTS = [
  { name: "boots", enable_template: false, delaysMs: [100, 300, 500, 1500, 3500] },
  // Later than that, a clone may run its container already.
  { name: "is cloned", enable_template: true, delaysMs: [100, 300, 500] },
];
for (const { name, enable_template, delaysMs } of STARTS) {
  test(`Ctrl-C while the VM ${name} ends the start and leaves nothing`, async () => {
    world.configure({ factory: { enable_template } });
    for (const delayMs of delaysMs) await interruptStart(delayMs);
  });
}

async function interruptStart(delayMs: number): Promise<void> {
  const child = startMukon(["run", "--rm", "busybox", "sleep", "1000"]);
  const outcome = outcomeOf(child, 60_000);
  await sleep(delayMs);
  child.kill("SIGINT");
  const { code, signal } = await outcome;
  // Before anything was made, the signal itself ends the program.
  assert.ok(code === 130 || signal === "SIGINT", `${code} ${signal}`);
  await world.assertNothingLeft(20_000);
}

test("a reader that goes away ends the container", async () => {
  const child = startMukon(["run", "--rm", "busybox", "yes"]);
  await waitForOutput(child, "y\ny\n");
  child.stdout?.destroy();
  const { code } = await outcomeOf(child, 60_000);
  assert.equal(code, 137);
});
