// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { Logger } from "../../logging/logger.ts";
import type { TaskEvent } from "./task-events.ts";

/** Where events go; rejects when it is not sure that one has arrived. */
export type EventSender = (event: TaskEvent) => Promise<void>;

export interface PublisherOptions {
  send: EventSender;
  log: Logger;
  /** Events kept while nobody takes them; those that clients wait for are kept beyond it. */
  maxQueued?: number;
  firstPauseMs?: number;
  maxPauseMs?: number;
}

const DEFAULT_MAX_QUEUED = 2048;
const DEFAULT_FIRST_PAUSE_MS = 100;
const DEFAULT_MAX_PAUSE_MS = 2_000;
/** How often an event may be refused by a receiver that is there before it is given up. */
const MAX_REFUSALS = 5;

/** The receiver has read the event and does not want it: sending it again is of little use. */
export class EventRefused extends MukonError {
  constructor(cause: unknown) {
    super("EVENT_REFUSED", `the event was refused: ${asMukonError(cause).message}`, { cause });
  }
}

/**
 * Sends events one after the other, in order, each until it has arrived: while containerd is being
 * restarted nobody takes them, and an exit that gets lost leaves a container running for ever. One
 * that is refused again and again does not hold up those behind it for ever.
 */
export class EventPublisher {
  readonly #options: Required<PublisherOptions>;
  #queue: TaskEvent[] = [];
  #work: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: PublisherOptions) {
    this.#options = {
      maxQueued: DEFAULT_MAX_QUEUED,
      firstPauseMs: DEFAULT_FIRST_PAUSE_MS,
      maxPauseMs: DEFAULT_MAX_PAUSE_MS,
      ...options,
    };
  }

  publish(event: TaskEvent): void {
    if (this.#isStopped) return;
    this.#queue.push(event);
    if (this.#queue.length > this.#options.maxQueued) this.#dropOne();
    this.#work ??= this.#run();
  }

  /** Waits until all events have arrived, but no longer than this; false when some have not. */
  async flush(timeoutMs: number): Promise<boolean> {
    const work = this.#work;
    if (work === undefined) return true;
    const timeout = new AbortController();
    const late = sleep(timeoutMs, false, { signal: timeout.signal }).catch(() => false);
    const isDone = await Promise.race([work.then(() => true), late]);
    timeout.abort();
    return isDone;
  }

  /** Gives up what was not sent. */
  stop(): void {
    this.#isStopped = true;
    this.#queue = [];
  }

  async #run(): Promise<void> {
    const { firstPauseMs, maxPauseMs } = this.#options;
    let pauseMs = firstPauseMs;
    let refusals = 0;
    for (let event = this.#queue[0]; event !== undefined; event = this.#queue[0]) {
      const outcome = await this.#try(event);
      refusals = outcome === "refused" ? refusals + 1 : 0;
      if (refusals > MAX_REFUSALS) this.#options.log.error("an event is given up", about(event));
      if (outcome === "taken" || refusals > MAX_REFUSALS) {
        const [first] = this.#queue;
        if (first === event) this.#queue.shift();
        [pauseMs, refusals] = [firstPauseMs, 0];
        continue;
      }
      await sleep(pauseMs);
      pauseMs = Math.min(2 * pauseMs, maxPauseMs);
    }
    this.#work = undefined;
  }

  async #try(event: TaskEvent): Promise<"taken" | "refused" | "away"> {
    try {
      await this.#options.send(event);
      return "taken";
    } catch (error) {
      this.#options.log.debug("an event was not taken; trying again", { ...about(event), error });
      return error instanceof EventRefused ? "refused" : "away";
    }
  }

  /** The one in front may be on its way. */
  #dropOne(): void {
    const index = this.#queue.findIndex((event, at) => at > 0 && !event.isEssential);
    if (index > 0) this.#queue.splice(index, 1);
  }
}

function about({ topic, typeUrl }: TaskEvent): { topic: string; type: string } {
  return { topic, type: typeUrl };
}
