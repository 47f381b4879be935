// SPDX-License-Identifier: Apache-2.0

/** Failures of remote calls: to the guest's agent, to a shim, to containerd. */
export const TTRPC_CODES = {
  CALL_FAILED: "The other side answered a call with an error; its message says why.",
  CALL_TIMEOUT: "The other side did not answer a call in time.",
  CALL_ABORTED: "A call was given up because its result was no longer wanted.",
  CALL_UNKNOWN: "The other side offers no such call.",
  CALL_REFUSED: "A call could not be read, or there are too many of them at once.",
  CONNECTION_CLOSED: "The connection ended before a call was answered.",
  CONNECTION_STALLED: "The other side does not read what is sent to it.",
  MESSAGE_TOO_LARGE: "A message is larger than the 4 MiB that one frame may hold.",
  PROTOCOL_ERROR: "The other side sent bytes that the protocol does not allow.",
} as const;
