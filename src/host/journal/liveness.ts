// SPDX-License-Identifier: Apache-2.0
import { killProcess, type ProcessHandle } from "../../linux/pidfd.ts";
import { readProcessStatus } from "../../linux/process-status.ts";

/**
 * Whether this very process still runs. A zombie does not, unless only its first thread has ended:
 * a captured program could end just that one, to look dead while its other threads go on.
 */
export function isRunning({ pid, startTime }: ProcessHandle): boolean {
  const status = readProcessStatus(pid);
  if (status === undefined || status.startTime !== startTime) return false;
  return (status.state !== "Z" && status.state !== "X") || status.threads > 1;
}

/** SIGKILL to exactly this process, by pidfd. */
export function killNow(target: ProcessHandle): void {
  if (killProcess(target, "SIGKILL") || !isRunning(target)) return;
  // Its first thread has ended, others run: the pid cannot be used again meanwhile.
  try {
    process.kill(target.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
