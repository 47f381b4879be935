// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listProcesses } from "../../../src/linux/process-status.ts";
import {
  assertHostRestored,
  type HostSnapshot,
  takeHostSnapshot,
} from "../../support/host-snapshot.ts";
import { mukon, outcomeOf, startMukon } from "../../support/mukon.ts";

/** How many pods are started and attacked; more by hand: MUKON_TEST_KILL_ROUNDS=100. */
const ROUNDS = Number(process.env.MUKON_TEST_KILL_ROUNDS ?? 8);
const VICTIMS = ["mukon.cjs", "shim-daemon.cjs", "keeper.cjs", "qemu-system"];
/** Longer than what `mukon gc` leaves alone because it may be on its way. */
const SETTLE_MS = 11_000;

let host: HostSnapshot;
before(() => {
  host = takeHostSnapshot();
});
after(() => assertHostRestored(host));

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
    await assertHostRestored(host, 40_000).catch((error: Error) => {
      throw new Error(`after killing ${victim} at ${delayMs} ms: ${error.message}`);
    });
  }
});

function killAll(program: string): number {
  const victims = listProcesses().filter((pid) => commandOf(pid).includes(program));
  for (const pid of victims) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return victims.length;
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
