// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { dropLostTerminal, stopOutputProcessing } from "./terminal-mode.ts";

const STDIN = 0;

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** @throws NOT_A_TERMINAL when standard input is a file or a pipe. */
export function requireTerminal(): void {
  if (process.stdin.isTTY) return;
  throw new MukonError("NOT_A_TERMINAL", "-t was given, but standard input is not a terminal", {
    hint: "leave -t out, or use -d -t to run in the background",
  });
}

export function terminalSize(): TerminalSize | undefined {
  if (!process.stdout.isTTY) return undefined;
  return { columns: process.stdout.columns, rows: process.stdout.rows };
}

/**
 * Hands every key to the container (Ctrl-C too) until the returned function is called. That
 * happens at exit as well, so that no failure leaves the user with a terminal that does not echo.
 */
export function enterRawMode(): () => void {
  if (!process.stdin.isTTY) return () => {};
  // A terminal that is hung up can be neither read nor set; its end is told by SIGHUP.
  process.stdin.on("error", () => {});
  process.stdin.setRawMode(true);
  stopOutputProcessing(STDIN);
  const leave = (): void => {
    process.stdin.setRawMode(false);
    dropLostTerminal();
    process.off("exit", leave);
  };
  process.on("exit", leave);
  return leave;
}

/** Calls `resize` now and whenever the window changes; the result ends that. */
export function followTerminalSize(resize: (size: TerminalSize) => void): () => void {
  const report = (): void => {
    const size = terminalSize();
    if (size !== undefined && size.columns > 0) resize(size);
  };
  report();
  process.stdout.on("resize", report);
  return () => process.stdout.off("resize", report);
}
