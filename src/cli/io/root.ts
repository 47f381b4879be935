// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";

/** @throws ROOT_REQUIRED: everything that touches pods needs the root-only run directory. */
export function requireRoot(command: string): void {
  if (process.geteuid?.() === 0) return;
  throw new MukonError("ROOT_REQUIRED", `mukon ${command} needs root`, {
    hint: `run it as: sudo mukon ${command} …`,
  });
}
