// SPDX-License-Identifier: Apache-2.0
import type { AgentService } from "../generated/agent/agent_pb.ts";

export type AgentMethodName = keyof typeof AgentService.method;

/** For all calls that are not named below. */
export const DEFAULT_DEADLINE_MS = 60_000;

/** Longest wait for a sign of life. */
export const CHECK_DEADLINE_MS = 30_000;

/**
 * Calls that wait for something in the guest to happen, however long it takes. They end with the
 * connection, and can be aborted.
 */
export const UNLIMITED_METHODS: ReadonlySet<AgentMethodName> = new Set([
  "waitProcess",
  "getOOMEvent",
  "readStdout",
  "readStderr",
  "writeStdin",
] as const);
