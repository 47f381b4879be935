// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { listSandboxes, readSandboxState } from "../../src/host/sandbox-state.ts";
import { peakMemoryMib } from "./process-facts.ts";

const POLL_MS = 100;

/** The most memory, in MiB, that any keeper of the run root has while `work` goes on. */
export async function peakKeeperMemory<Result>(
  work: Promise<Result>,
): Promise<{ result: Result; peakMib: number }> {
  let isOver = false;
  const ended = work.finally(() => {
    isOver = true;
  });
  let peakMib = 0;
  while (!isOver) {
    for (const key of listSandboxes()) peakMib = Math.max(peakMib, peakOf(key));
    await Promise.race([ended.catch(() => {}), sleep(POLL_MS)]);
  }
  return { result: await ended, peakMib };
}

function peakOf(key: string): number {
  try {
    const keeper = readSandboxState(key)?.processes.keeper;
    return keeper === undefined ? 0 : peakMemoryMib(keeper.pid);
  } catch {
    // It ended meanwhile.
    return 0;
  }
}
