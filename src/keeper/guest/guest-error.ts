// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { TtrpcError } from "../../ttrpc/ttrpc-error.ts";

const LOST_CODES: readonly string[] = ["CONNECTION_CLOSED", "CONNECTION_STALLED", "PROTOCOL_ERROR"];

/**
 * A failed call to the guest's agent, as the shim gets to see it. `purpose` completes "The guest
 * did not …". Text of the guest is marked as such: it may be a lie.
 */
export function guestError(error: unknown, purpose: string): MukonError {
  if (!(error instanceof TtrpcError)) return asMukonError(error);
  if (error.code === "CALL_TIMEOUT") {
    return new MukonError("GUEST_CALL_TIMEOUT", `The guest did not ${purpose} in time.`, {
      hint: "The guest may be overloaded or hang; give it more time or memory, or remove the pod.",
      cause: error,
    });
  }
  if (LOST_CODES.includes(error.code)) {
    return new MukonError(
      "GUEST_LOST",
      `The guest did not ${purpose}, as its agent is gone: ${error.message}`,
      { hint: "Remove the pod; its console says what went before.", cause: error },
    );
  }
  return new MukonError("GUEST_CALL_FAILED", `The guest did not ${purpose}: ${error.message}`, {
    details: { agentStatus: error.status },
    cause: error,
  });
}

/** Codes of google.rpc.Status. */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;

/** As {@link asking}, for calls that begin a process: what its user got wrong has codes of its own. */
export async function askingToRun<T>(
  purpose: string,
  call: Promise<T>,
  { namesUser } = { namesUser: false },
): Promise<T> {
  try {
    return await asking(purpose, call);
  } catch (error) {
    const known = asMukonError(error);
    if (known.code !== "GUEST_CALL_FAILED") throw known;
    const status = known.details?.agentStatus;
    if (status === INVALID_ARGUMENT && !namesUser) throw known;
    const mistake = typeof status === "number" ? MISTAKES.get(status) : undefined;
    if (mistake === undefined) throw known;
    const { code, hint } = mistake;
    throw new MukonError(code, known.message, { hint, details: known.details ?? {}, cause: error });
  }
}

const MISTAKES = new Map([
  [
    NOT_FOUND,
    {
      code: "CONTAINER_PROGRAM_NOT_FOUND",
      hint: "name a program that is in the container; shell commands need a shell: sh -c '…'",
    },
  ],
  [
    PERMISSION_DENIED,
    {
      code: "CONTAINER_PROGRAM_NOT_EXECUTABLE",
      hint: "name a program that this user may execute, made for this architecture",
    },
  ],
  [
    INVALID_ARGUMENT,
    {
      code: "USER_NOT_FOUND",
      hint: "give a number instead (-u 1000:1000), or a name of the container's /etc/passwd",
    },
  ],
]);

/** Awaits a call to the agent and turns its failure into one that users understand. */
export async function asking<T>(purpose: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw guestError(error, purpose);
  }
}
