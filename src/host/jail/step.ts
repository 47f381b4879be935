// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";

/** @throws JAIL_NOT_BUILT with the step's name */
export function step<Result>(name: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("JAIL_NOT_BUILT", `the jail could not ${name}: ${why}`, {
      hint: "it takes Linux 5.12 and CAP_SYS_ADMIN; see mukon check",
      details: { step: name },
      cause,
    });
  }
}
