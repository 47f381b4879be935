// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:os";
import { usage } from "./quantities.ts";

/** "TERM", "SIGTERM" or "15": the number of the signal. */
export function parseSignal(text: string): number {
  const numbers = constants.signals as Record<string, number>;
  const upper = text.toUpperCase();
  const number = /^\d+$/.test(text)
    ? Number(text)
    : (numbers[upper] ?? numbers[`SIG${upper}`] ?? Number.NaN);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw usage("signal", text, "a signal's name or number");
}
