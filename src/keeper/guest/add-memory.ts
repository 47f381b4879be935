// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { AgentClient } from "../../guest-protocol/agent-client.ts";
import { plugMemory } from "../../vmm/qemu/extra-memory.ts";
import type { QmpClient } from "../../vmm/qemu/qmp/client.ts";

const BYTES_PER_MIB = 1024 * 1024;
/** What the kernel keeps of new memory to keep account of it: 64 bytes a page, which is a 64th. */
const LEAST_SHARE = 0.98;
const TOTAL = /^kata_guest_meminfo_memtotal_bytes (\d{1,16})$/m;

interface Machine {
  qmp: Pick<QmpClient, "execute" | "onEvent">;
  agent: Pick<AgentClient, "call">;
}

/**
 * Gives a guest memory beyond what it has begun with, and sees that it has grown: kernels are known to
 * say that they have memory which they then do not use.
 * Errors: `VMM_MEMORY_REFUSED`, and those of the agent's calls.
 */
export async function addMemory(
  { qmp, agent }: Machine,
  { mib, timeoutMs }: { mib: number; timeoutMs: number },
): Promise<void> {
  const before = await totalBytes(agent, timeoutMs);
  await plugMemory(qmp, { mib, timeoutMs });
  // A call that counts the processors, too: one is there.
  await agent.call("onlineCPUMem", { wait: true, nbCpus: 1, cpuOnly: false }, { timeoutMs });
  const grownMib = Math.floor(((await totalBytes(agent, timeoutMs)) - before) / BYTES_PER_MIB);
  if (grownMib >= mib * LEAST_SHARE) return;
  throw new MukonError(
    "VMM_MEMORY_REFUSED",
    `The guest has ${grownMib} MiB of memory more, not the ${mib} MiB that it was given.`,
    { hint: "Give every pod that much from the start, with default_memory, or ask for less." },
  );
}

async function totalBytes(agent: Machine["agent"], timeoutMs: number): Promise<number> {
  const { metrics } = await agent.call("getMetrics", {}, { timeoutMs });
  const total = TOTAL.exec(metrics)?.[1];
  if (total !== undefined) return Number(total);
  throw new MukonError("AGENT_REPLY_INVALID", "The guest does not say how much memory it has.");
}
