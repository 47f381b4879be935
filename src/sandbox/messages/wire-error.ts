// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import type { WireError } from "./envelope.ts";
import { MAX_CONSOLE_TAIL_CHARACTERS, MAX_MESSAGE_CHARACTERS } from "./limits.ts";
import { plainHead, plainTail } from "./text.ts";

/**
 * A failure in the form that crosses from keeper to shim: cut to size and free of terminal
 * controls, since its text may come from the guest.
 */
export function toWireError(error: unknown): WireError {
  const known = asMukonError(error);
  const wire: WireError = {
    code: /^[A-Z][A-Z0-9_]{0,63}$/.test(known.code) ? known.code : "INTERNAL",
    message: plainHead(known.message, MAX_MESSAGE_CHARACTERS),
  };
  if (known.hint !== undefined) wire.hint = plainHead(known.hint, MAX_MESSAGE_CHARACTERS);
  const details = wireDetails(known.details ?? {});
  if (Object.keys(details).length > 0) wire.details = details;
  return wire;
}

function wireDetails(details: Record<string, unknown>): NonNullable<WireError["details"]> {
  const { stage, consoleTail, agentStatus } = details;
  const wire: NonNullable<WireError["details"]> = {};
  if (typeof stage === "string") wire.stage = plainHead(stage, 40);
  if (typeof consoleTail === "string") {
    wire.consoleTail = plainTail(consoleTail, MAX_CONSOLE_TAIL_CHARACTERS);
  }
  if (typeof agentStatus === "number" && agentStatus >= 0 && agentStatus <= 255) {
    wire.agentStatus = Math.trunc(agentStatus);
  }
  return wire;
}

/** The error that a {@link WireError} stands for. */
export function fromWireError(wire: WireError): MukonError {
  return new MukonError(wire.code, wire.message, {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.details === undefined ? {} : { details: { ...wire.details } }),
  });
}
