// SPDX-License-Identifier: Apache-2.0
import { writeSync } from "node:fs";

/** Writes a line to standard output; a reader that went away (`| head`) ends the program quietly. */
export function printLine(text: string): void {
  try {
    writeAll(1, `${text}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") process.exit(0);
    throw error;
  }
}

/** Progress and warnings go to standard error: standard output belongs to the result. */
export function printNote(text: string): void {
  try {
    writeAll(2, `${text}\n`);
  } catch {
    // Nobody reads it.
  }
}

export function printJson(value: unknown): void {
  printLine(
    JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? item.toString() : item), 2),
  );
}

function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      // A pipe made non-blocking by its other user is full for a moment.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
