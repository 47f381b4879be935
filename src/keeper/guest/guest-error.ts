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

/** Awaits a call to the agent and turns its failure into one that users understand. */
export async function asking<T>(purpose: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw guestError(error, purpose);
  }
}
