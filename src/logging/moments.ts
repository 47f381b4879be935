// SPDX-License-Identifier: Apache-2.0
import { appendFileSync } from "node:fs";

/** Names the file that moments are written to; none are without it. */
const VARIABLE = "MUKON_MOMENTS_FILE";

/** A point that the start of a container has reached. */
export interface Moment {
  /** The program that was there. */
  program: string;
  name: string;
  /** Milliseconds since the epoch, with a fraction: comparable between the processes of one host. */
  at: number;
}

/**
 * Takes note of a moment in the file that `MUKON_MOMENTS_FILE` names, as one line of JSON; costs
 * nothing without that. All programs of one start inherit the variable, so that the file has the whole
 * way, from the first instruction of the command line to the first output. Read by `bench/start.ts`.
 */
export function noteMoment(program: string, name: string, at = now()): void {
  const file = process.env[VARIABLE];
  if (file === undefined || file === "") return;
  const moment: Moment = { program, name, at };
  try {
    appendFileSync(file, `${JSON.stringify(moment)}\n`, { mode: 0o600 });
  } catch {
    // Whoever measures will miss it; a container starts all the same.
  }
}

/** The moment at which this process began, before any of its own code ran. */
export function noteProcessStart(program: string): void {
  noteMoment(program, "process", performance.timeOrigin);
  noteMoment(program, "loaded");
}

/** Steps that follow each other without a gap, measured elsewhere, that began `at`. */
export function noteSteps(
  program: string,
  at: number,
  steps: readonly { name: string; milliseconds: number }[],
): void {
  let end = at;
  for (const { name, milliseconds } of steps) {
    end += milliseconds;
    noteMoment(program, name, end);
  }
}

/** Milliseconds since the epoch, finer than `Date.now()`. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
