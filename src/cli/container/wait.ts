// SPDX-License-Identifier: Apache-2.0

import { followTerminalSize } from "../io/terminal.ts";
import { isTerminalGone } from "../io/terminal-mode.ts";
import type { ProcessReference, TaskClient } from "../shim/task-client.ts";

/** The second of these, and every later one, kills. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;
const SIGNAL_NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGQUIT: 3 } as const;
const SIGKILL = 9;
const STDIN = 0;

export interface ForwardOptions {
  task: TaskClient;
  process: ProcessReference;
  terminal: boolean;
}

/**
 * Passes signals (and changes of the window's size) on to a process until the result is called.
 * The first signal is passed as it is, any later one kills: a container that ignores Ctrl-C
 * must not hold the terminal for ever. So does the end of the terminal itself, as nobody is there
 * any more to send a second one.
 */
export function forwardSignals(options: ForwardOptions): () => void {
  const { task, process: target } = options;
  let received = 0;
  const send = (signal: number): void => {
    // The process may have ended in the meantime: then there is nobody to tell.
    task.kill(target, signal, { all: signal === SIGKILL }).catch(() => {});
  };
  const handlers = FORWARDED.map((name) => {
    const handler = (): void => {
      received++;
      const isAlone = options.terminal && isTerminalGone(STDIN);
      send(received === 1 && !isAlone ? SIGNAL_NUMBERS[name] : SIGKILL);
    };
    process.on(name, handler);
    return { name, handler };
  });
  const stopResizing = options.terminal
    ? followTerminalSize((size) => {
        task.resize(target, size).catch(() => {});
      })
    : () => {};
  return () => {
    stopResizing();
    for (const { name, handler } of handlers) process.off(name, handler);
  };
}
