// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import type { AgentClient } from "../../guest-protocol/agent-client.ts";

/** A guest that cries without end is heard ten times in a second, and no more. */
const PAUSE_MS = 100;

/**
 * Tells `report` of each container that the guest's kernel took a process of for want of memory.
 * Ends when the agent does not answer any more, or knows no such call.
 */
export async function followOutOfMemory(
  agent: Pick<AgentClient, "nextOutOfMemory">,
  report: (containerId: string) => void,
): Promise<void> {
  for (;;) {
    let containerId: string;
    try {
      containerId = await agent.nextOutOfMemory();
    } catch {
      return;
    }
    report(containerId);
    await delay(PAUSE_MS);
  }
}
