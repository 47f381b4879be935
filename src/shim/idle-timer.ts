// SPDX-License-Identifier: Apache-2.0

export interface IdleOptions {
  /** How long the first visitor may take to come. */
  firstMs: number;
  /** How long it waits for another one when all have left. */
  laterMs: number;
  /** Whether the time has come to end; asked again later if it has not. */
  isUnused: () => boolean;
  onIdle: () => void;
}

/** Notices when nobody is connected and nothing is there to be served, for some time. */
export class IdleTimer {
  readonly #options: IdleOptions;
  #visitors = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IdleOptions) {
    this.#options = options;
    this.#rearm(options.firstMs);
  }

  /** Somebody has come; the function returned is to be called when they leave. */
  enter(): () => void {
    this.#visitors += 1;
    clearTimeout(this.#timer);
    return () => {
      this.#visitors -= 1;
      if (this.#visitors === 0) this.#rearm(this.#options.laterMs);
    };
  }

  #rearm(delayMs: number): void {
    const { isUnused, onIdle, laterMs } = this.#options;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#visitors > 0) return;
      if (isUnused()) onIdle();
      else this.#rearm(laterMs);
    }, delayMs);
  }
}
