// SPDX-License-Identifier: Apache-2.0
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { readKeys } from "./control.ts";

/** More than any caller lags behind; older ones are forgotten first. */
const MAX_PENDING = 256;

/** Ids of containers that lost a process to the OOM killer, handed out one at a time. */
export class OomEvents {
  readonly #pending: string[] = [];
  readonly #waiting: ((containerId: string) => void)[] = [];

  push(containerId: string): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting(containerId);
    else if (this.#pending.push(containerId) > MAX_PENDING) this.#pending.shift();
  }

  next(): Promise<string> {
    const pending = this.#pending.shift();
    if (pending !== undefined) return Promise.resolve(pending);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The caller is gone: an event given to it would be lost. */
  forgetWaiting(): void {
    this.#waiting.length = 0;
  }
}

/** Watches one cgroup; the kernel tells of each change of the events file. */
export class OomWatch {
  readonly #file: string;
  readonly #onKill: () => void;
  readonly #watcher: FSWatcher | undefined;
  #kills = 0n;

  constructor(cgroup: string, onKill: () => void) {
    this.#file = join(cgroup, "memory.events");
    this.#onKill = onKill;
    this.#watcher = watchFile(this.#file, () => this.check());
  }

  /** Also called when the container ends, so that its exit is never told before its cause. */
  check(): void {
    const kills = readKeys(this.#file).get("oom_kill") ?? 0n;
    if (kills <= this.#kills) return;
    this.#kills = kills;
    this.#onKill();
  }

  close(): void {
    this.#watcher?.close();
  }
}

function watchFile(file: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(file, { persistent: false }, onChange);
    watcher.on("error", () => undefined);
    return watcher;
  } catch {
    return undefined;
  }
}
