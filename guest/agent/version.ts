// SPDX-License-Identifier: Apache-2.0

export const AGENT_VERSION = "0.1.0";
/** Version of the protocol, as Kata's agent says it. */
export const PROTOCOL_VERSION = "0.0.1";
