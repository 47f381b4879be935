// SPDX-License-Identifier: Apache-2.0
import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import { listMounts } from "../../linux/mounts.ts";

const POLL_MS = 2;
const TIMEOUT_MS = 10_000;

/**
 * Waits until virtiofsd has shut itself in: its root must be the shared tree, on which nothing is
 * mounted yet.
 * @throws CONFINEMENT_BROKEN
 */
export async function awaitShutIn(pid: number, directory: string): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const problem = problemOf(pid, directory);
    if (problem === undefined) return;
    if (Date.now() >= deadline) throw broken(pid, problem);
    await sleep(POLL_MS);
  }
}

function problemOf(pid: number, directory: string): string | undefined {
  try {
    const [root, tree] = [statSync(`/proc/${pid}/root/.`), statSync(directory)];
    if (root.dev !== tree.dev || root.ino !== tree.ino) return "its root is not the shared tree";
    const points = listMounts(readFileSync(`/proc/${pid}/mountinfo`, "utf8"))
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point !== "/");
    return points.length === 0 ? undefined : `it sees other mounts: ${points.join(" ")}`;
  } catch (error) {
    return `its root cannot be looked at: ${error}`;
  }
}

function broken(pid: number, problem: string): MukonError {
  return new MukonError(
    "CONFINEMENT_BROKEN",
    `virtiofsd (pid ${pid}) has not shut itself in: ${problem}`,
    {
      hint: "the pod was not started; see which of unshare and nsenter does not work here: mukon check",
      details: { deviations: [problem] },
    },
  );
}
