// SPDX-License-Identifier: Apache-2.0

/** Notices when nobody is connected and nothing is there to be served, for some time. */
export class IdleTimer {
  readonly #idleMs: number;
  readonly #isUnused: () => boolean;
  readonly #onIdle: () => void;
  #visitors = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, isUnused: () => boolean, onIdle: () => void) {
    this.#idleMs = idleMs;
    this.#isUnused = isUnused;
    this.#onIdle = onIdle;
    this.#rearm();
  }

  /** Somebody has come; the function returned is to be called when they leave. */
  enter(): () => void {
    this.#visitors += 1;
    clearTimeout(this.#timer);
    return () => {
      this.#visitors -= 1;
      if (this.#visitors === 0) this.#rearm();
    };
  }

  #rearm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#visitors > 0) return;
      if (this.#isUnused()) this.#onIdle();
      else this.#rearm();
    }, this.#idleMs);
  }
}
