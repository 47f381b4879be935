// SPDX-License-Identifier: Apache-2.0

import type { Reaper } from "../container/reaper.ts";
import { runProgram } from "../container/run-program.ts";
import { AgentError, Status } from "../errors.ts";

const BUSYBOX = "/usr/bin/busybox";
const TIMEOUT_MS = 10_000;

/** Busybox's `ip`, with these arguments. */
export type IpCommand = (...values: string[]) => Promise<void>;

export function ipCommand(reaper: Reaper): IpCommand {
  return async (...values) => {
    const code = await runProgram(reaper, {
      argv: [BUSYBOX, "ip", ...values],
      timeoutMs: TIMEOUT_MS,
    });
    if (code !== 0)
      throw new AgentError(Status.internal, `ip ${values.join(" ")}: exit code ${code}`);
  };
}
