// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { writeUserNetworkWish } from "../../../src/host/network/user/wish-file.ts";
import type { PodLife } from "./life.ts";
import { strikeJournalled, strikeOnSight, type Victim } from "./victims.ts";

/** Of a pod's life, in their order. */
export const MOMENTS = [
  "launched",
  "booting",
  "creating",
  "starting",
  "running",
  "removing",
] as const;
export type Moment = (typeof MOMENTS)[number];

export interface ProcessStrike {
  victim: Victim;
  moment: Moment;
  /** Between the moment and the blow. */
  delayMs: number;
}

export interface StruckLife {
  strike: ProcessStrike;
  /** The process was there, and was killed. */
  isHit: boolean;
  /** What its client was told by Create or Start, if they failed. */
  failure: Error | undefined;
  /** How its container ended, if it had been created. */
  status: number | undefined;
}

const POLL_MS = 5;
/** Until somebody is told of it; a guest that boots takes its time. */
const TIMEOUT_MS = 60_000;
/** Then there is a machine, and something is to be shared with its guest. */
const STEPS: Partial<Record<Moment, readonly string[]>> = {
  booting: ["process vmm", "process keeper"],
  creating: ["directory shared"],
};

/** A whole life of a pod, as its client sees it, in which one of its processes is killed. */
export async function liveStruck(life: PodLife, strike: ProcessStrike): Promise<StruckLife> {
  if (strike.victim === "passt") writeUserNetworkWish(life.bundle.directory, { ports: [] });
  await life.startShim();
  const blow = new Blow(life, strike);
  try {
    const failure = await createAndStart(life, blow);
    const status = failure?.isCreated === false ? undefined : await endOf(life, blow);
    await life.client.shutdown(life.bundle.id).catch(() => {});
    await life.shimEnded();
    return { strike, isHit: await blow.end(), failure: failure?.error, status };
  } finally {
    await blow.end();
    // Of a life that did not go as it should.
    life.killShim("SIGTERM");
    await life.shimEnded();
  }
}

/** Undefined: nothing has failed. */
async function createAndStart(
  life: PodLife,
  blow: Blow,
): Promise<{ error: Error; isCreated: boolean } | undefined> {
  blow.prepare();
  const failure = await life.create();
  if (failure !== undefined) return { error: failure, isCreated: false };
  blow.fallAt("starting");
  try {
    await life.client.start(life.bundle.id);
  } catch (error) {
    return { error: error as Error, isCreated: true };
  }
  blow.fallAt("running");
  return undefined;
}

/** Waits for the end as containerd does, and has the container deleted. */
async function endOf(life: PodLife, blow: Blow): Promise<number> {
  const { client } = life;
  const { id } = life.bundle;
  const ended = client.wait(id);
  if (blow.isFor("removing")) {
    blow.fallAt("removing");
    // What has ended meanwhile cannot be killed.
    await client.kill(id, 9).catch(() => {});
  }
  const status = await Promise.race([ended, sleep(TIMEOUT_MS, undefined, { ref: false })]);
  assert.ok(status !== undefined, `${id} goes on as if nothing had happened`);
  await client.delete(id);
  return status;
}

/** Falls once, at its moment, and not after its end. */
class Blow {
  readonly #life: PodLife;
  readonly #strike: ProcessStrike;
  readonly #ending = new AbortController();
  #fallen: Promise<boolean> = Promise.resolve(false);

  constructor(life: PodLife, strike: ProcessStrike) {
    this.#life = life;
    this.#strike = strike;
  }

  isFor(moment: Moment): boolean {
    return this.#strike.moment === moment;
  }

  /** For a moment within Create. */
  prepare(): void {
    const { moment } = this.#strike;
    const steps = STEPS[moment];
    if (moment === "launched") this.#fall(() => true);
    else if (steps !== undefined) this.#fall(() => this.#life.missingOf(steps).length === 0);
  }

  fallAt(moment: Moment): void {
    if (this.isFor(moment)) this.#fall(() => true);
  }

  /** Resolves to whether it has hit somebody. */
  async end(): Promise<boolean> {
    this.#ending.abort();
    return await this.#fallen;
  }

  #fall(isTime: () => boolean): void {
    this.#fallen = this.#wait(isTime);
  }

  async #wait(isTime: () => boolean): Promise<boolean> {
    const { signal } = this.#ending;
    const { victim, delayMs, moment } = this.#strike;
    while (!isTime()) {
      if (signal.aborted) return false;
      await sleep(POLL_MS);
    }
    await sleep(delayMs);
    for (;;) {
      const isHit =
        moment === "launched"
          ? strikeOnSight(this.#life.shimPid, victim)
          : strikeJournalled(this.#life.key, victim);
      if (isHit || signal.aborted) return isHit;
      await sleep(POLL_MS);
    }
  }
}
