// SPDX-License-Identifier: Apache-2.0
import type { Method } from "./messages/methods.ts";

const SHORT_MS = 15_000;
/** A call to the guest's agent has 60 s; the keeper needs a little more to say that it failed. */
const AGENT_CALL_MS = 65_000;
/**
 * How long after the time given to the keeper the shim gives up waiting for its answer. It says more
 * than that none came (the console's last lines), also on a machine that is out of breath.
 */
const GRACE_MS = 10_000;

const FIXED_MS: Partial<Record<Method, number>> = {
  prepareSandbox: 3 * AGENT_CALL_MS,
  attachDisk: 2 * SHORT_MS,
  detachDisk: 3 * SHORT_MS,
  attachHostDevice: 5 * SHORT_MS,
  detachHostDevice: 3 * SHORT_MS,
  attachCard: 3 * SHORT_MS,
  setUpNetwork: 3 * AGENT_CALL_MS,
  attachSharedFs: 4 * SHORT_MS,
  createContainer: AGENT_CALL_MS,
  exec: SHORT_MS,
  removeExec: SHORT_MS,
};

/** How long the shim waits for the keeper's answer: what `params.timeoutMs` says, and grace. */
export function keeperDeadlineMs(method: Method, params: object): number {
  if ("timeoutMs" in params && typeof params.timeoutMs === "number") {
    return params.timeoutMs + GRACE_MS;
  }
  return FIXED_MS[method] ?? AGENT_CALL_MS;
}
