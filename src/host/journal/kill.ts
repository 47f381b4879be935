// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import { processesOfBlocks } from "../identity/block-processes.ts";
import { isRunning, killNow } from "./liveness.ts";

const POLL_MS = 5;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface KillTargets {
  /** Named ones; the calling process is left alone. */
  processes: readonly ProcessHandle[];
  /** All processes with an id out of these blocks. */
  blocks: readonly number[];
}

/**
 * Kills until none is left: a process that forks while it is looked for is found the next time.
 * @throws PROCESS_NOT_KILLED when one is still there when the time is over
 */
export async function killAll(targets: KillTargets, timeoutMs = DEFAULT_TIMEOUT_MS): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const alive = findAlive(targets);
    if (alive.length === 0) return;
    for (const target of alive) killNow(target);
    if (Date.now() >= deadline) throw notKilled(alive, timeoutMs);
    await sleep(POLL_MS);
  }
}

function findAlive(targets: KillTargets): ProcessHandle[] {
  const named = targets.processes.filter(isRunning);
  return [...named, ...processesOfBlocks(targets.blocks)].filter(({ pid }) => pid !== process.pid);
}

function notKilled(alive: readonly ProcessHandle[], timeoutMs: number): MukonError {
  const pids = alive.map(({ pid }) => pid).join(", ");
  return new MukonError(
    "PROCESS_NOT_KILLED",
    `processes are still there ${timeoutMs} ms after SIGKILL: ${pids}`,
    { hint: "the kernel waits for a device or a network disk; when it is back: mukon gc" },
  );
}
