// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { AgentClient } from "../../guest-protocol/agent-client.ts";
import { plugProcessors } from "../../vmm/qemu/extra-processors.ts";
import type { QmpClient } from "../../vmm/qemu/qmp/client.ts";

/** One line for each kind of time of each processor that is in use, as Kata's agent has them. */
const PROCESSOR = /^kata_guest_cpu_time\{cpu="(\d{1,4})",/gm;

interface Machine {
  qmp: Pick<QmpClient, "execute">;
  agent: Pick<AgentClient, "call">;
}

/**
 * Gives a guest processors beyond those it has begun with, has it use them, and sees that it uses just
 * as many as the machine has.
 * Errors: `VMM_PROCESSORS_REFUSED`, and those of the agent's calls.
 */
export async function addProcessors(
  { qmp, agent }: Machine,
  { count, timeoutMs }: { count: number; timeoutMs: number },
): Promise<void> {
  const nbCpus = await plugProcessors(qmp, { count, timeoutMs });
  await agent.call("onlineCPUMem", { wait: true, nbCpus, cpuOnly: true }, { timeoutMs });
  const { metrics } = await agent.call("getMetrics", {}, { timeoutMs });
  const inUse = new Set([...metrics.matchAll(PROCESSOR)].map(([, number]) => number)).size;
  if (inUse === nbCpus) return;
  throw new MukonError(
    "VMM_PROCESSORS_REFUSED",
    `The guest uses ${inUse} processors, not the ${nbCpus} that it was given.`,
    { hint: "Give every pod that many from the start, with default_vcpus, or ask for fewer." },
  );
}
