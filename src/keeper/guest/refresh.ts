// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import type { AgentClient } from "../../guest-protocol/agent-client.ts";
import { Steps } from "../../logging/steps.ts";
import { asking } from "./guest-error.ts";

/** As much as the kernel's random pool takes in at once. */
const SEED_BYTES = 64;
/** A call that took no longer has set the clock well: it is off by half of this at most. */
const QUICK_CALL_MS = 20;
/** On a host that is busy the quick one may be long in coming. */
const MAX_CALLS = 12;

type Agent = Pick<AgentClient, "call">;

/** What must be fresh in every guest, also in one that was cloned: randomness and the clock. */
export async function refreshGuest(agent: Agent, steps = new Steps()): Promise<void> {
  const data = randomBytes(SEED_BYTES);
  await steps.run("randomness", () =>
    asking("take random numbers", agent.call("reseedRandomDev", { data })),
  );
  await steps.run("clock", () => asking("set its clock", setClock(agent)));
}

/**
 * The time that arrives is as old as the way to the guest is long, which the first call tells: it
 * is put right by half of what the quickest call so far has taken, there and back.
 */
async function setClock(agent: Agent): Promise<void> {
  let quickestMs: number | undefined;
  for (let calls = 0; calls < MAX_CALLS; calls++) {
    const startedAtMs = performance.now();
    await agent.call("setGuestDateTime", timeOfDay(Date.now() + (quickestMs ?? 0) / 2));
    const tookMs = performance.now() - startedAtMs;
    const isSettled = quickestMs !== undefined || tookMs <= QUICK_CALL_MS / 2;
    if (isSettled && tookMs <= QUICK_CALL_MS) return;
    quickestMs = Math.min(quickestMs ?? tookMs, tookMs);
  }
}

function timeOfDay(milliseconds: number): { Sec: bigint; Usec: bigint } {
  const microseconds = BigInt(Math.round(milliseconds * 1000));
  return { Sec: microseconds / 1_000_000n, Usec: microseconds % 1_000_000n };
}
