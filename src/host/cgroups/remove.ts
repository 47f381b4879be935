// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";

const PATIENCE_MS = 2_000;
const POLL_MS = 10;

/**
 * Removes a cgroup that has no processes any more. One in which somebody has made another is
 * theirs, and stays. Processes that were killed leave theirs a moment later.
 * @throws CGROUP_BUSY
 */
export async function removeCgroup(path: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" && code !== "ENOTEMPTY") throw error;
      if (hasChildren(path)) return;
      if (Date.now() >= deadline) throw busy(path);
    }
    await sleep(POLL_MS);
  }
}

function hasChildren(path: string): boolean {
  try {
    return readdirSync(path, { withFileTypes: true }).some((entry) => entry.isDirectory());
  } catch {
    return false;
  }
}

function busy(path: string): MukonError {
  const pids = readFileSync(join(path, "cgroup.procs"), "utf8").trim().split("\n").slice(0, 10);
  return new MukonError("CGROUP_BUSY", `the cgroup ${path} has processes: ${pids.join(", ")}`, {
    hint: "somebody has put them there; when they have ended: mukon gc",
  });
}
