// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:os";
import { MukonError } from "../../errors/mukon-error.ts";

export interface Abort {
  /** The signal that came first, while this was in force. */
  readonly signalNumber: number | undefined;
  /** Later signals are none of its business. */
  stop(): void;
}

/**
 * Until the container runs there is nobody to pass a signal on to: Ctrl-C while a VM boots ends the
 * start itself. `undo` makes the call that is being waited for fail.
 */
export function abortOnSignal(undo: () => Promise<void>): Abort {
  let first: number | undefined;
  const handlers = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((name) => {
    const handler = (): void => {
      if (first !== undefined) return;
      first = constants.signals[name];
      undo().catch(() => {});
    };
    process.on(name, handler);
    return { name, handler };
  });
  return {
    get signalNumber() {
      return first;
    },
    stop() {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}

/** @throws INTERRUPTED when a signal has come; whoever waits for it turns it into an exit code */
export function throwIfAborted(abort: Abort | undefined): void {
  if (abort?.signalNumber === undefined) return;
  throw new MukonError("INTERRUPTED", `signal ${abort.signalNumber} came before the container ran`);
}
