// SPDX-License-Identifier: Apache-2.0
import { writeSync } from "node:fs";

const STDERR = 2;
const MAX_LINE_BYTES = 2048;

let isVerbose = false;

export function setVerbose(value: boolean): void {
  isVerbose = value;
}

/** For the developer of the guest: shown with `agent.log=debug` on the kernel command line. */
export function debug(text: string): void {
  if (isVerbose) write("debug", text);
}

export function warn(text: string): void {
  write("warning", text);
}

export function failure(text: string, error: unknown): void {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  write("error", `${text}: ${reason}`);
}

/** Goes to the guest's console; one line, bounded, and never a reason to fail. */
function write(level: string, text: string): void {
  const line = `mukon-agent ${level}: ${text.replaceAll("\n", " | ")}`;
  try {
    writeSync(STDERR, `${line.slice(0, MAX_LINE_BYTES)}\n`);
  } catch {
    // The console is gone or full: there is nowhere left to say so.
  }
}
