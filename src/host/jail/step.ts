// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { SystemCallError } from "../../linux/system-call.ts";

/** What goes wrong in there is named after it; what has a name already keeps it. @throws JAIL_NOT_BUILT */
export function step<Result>(name: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof MukonError && !(cause instanceof SystemCallError)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("JAIL_NOT_BUILT", `the jail could not ${name}: ${why}`, {
      // Of what has run out: there, nothing is wrong with the kernel or the rights.
      hint: asMukonError(cause).hint ?? "it takes Linux 5.12 and CAP_SYS_ADMIN; see mukon check",
      details: { step: name },
      cause,
    });
  }
}
