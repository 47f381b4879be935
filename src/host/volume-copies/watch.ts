// SPDX-License-Identifier: Apache-2.0
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import type { VolumeEntry } from "./snapshot.ts";

/** Several changes that belong together come within this time. */
const SETTLE_MS = 100;
/** Where nothing is told (too many watches, a network file system), it is looked at so often. */
const POLL_MS = 30_000;

/**
 * Tells when something at or below a path may have changed, until it is closed; no event holds the
 * process. What is watched must be set anew when directories have come or gone.
 */
export class TreeWatch {
  readonly #source: string;
  readonly #onChange: () => void;
  readonly #poll: NodeJS.Timeout;
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(source: string, onChange: () => void) {
    this.#source = source;
    this.#onChange = onChange;
    this.#poll = setInterval(onChange, POLL_MS).unref();
  }

  /** Watches the source and its directories as they were last seen. */
  follow(entries: readonly VolumeEntry[]): void {
    this.#stop();
    for (const { path, kind } of entries) {
      if (path !== "" && kind !== "directory") continue;
      try {
        const watcher = watch(join(this.#source, path), { persistent: false }, () => this.#tell());
        // Polling goes on.
        watcher.on("error", () => {});
        this.#watchers.push(watcher);
      } catch {
        // It has gone, which its parent tells, or there are too many: polling goes on.
      }
    }
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#timer);
    this.#stop();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onChange, SETTLE_MS).unref();
  }

  #stop(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }
}
