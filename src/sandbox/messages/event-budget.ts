// SPDX-License-Identifier: Apache-2.0

/** Counts events in a window of one second; a keeper that floods the shim is a captured one. */
export class EventBudget {
  readonly #perSecond: number;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #used = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** False when this event is one too many for the running second; `nowMs` never goes back. */
  spend(nowMs: number): boolean {
    if (nowMs - this.#windowStartMs >= 1000) {
      this.#windowStartMs = nowMs;
      this.#used = 0;
    }
    this.#used += 1;
    return this.#used <= this.#perSecond;
  }
}
