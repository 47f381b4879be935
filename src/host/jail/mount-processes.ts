// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { findTool } from "../launcher/tools.ts";

const TIMEOUT_MS = 10_000;
const OPTIONS = "ro,nosuid,nodev,noexec";

/**
 * Mounts a /proc of the pid namespace that the calling thread starts its children in. The thread is
 * not in there itself, so it takes a program, and a process that is the first in there before. Unless it is to be whole, it has processes and none of the files
 * about the kernel.
 */
export function mountProcesses(target: string, { isWhole }: { isWhole: boolean }): void {
  const options = isWhole ? OPTIONS : `${OPTIONS},subset=pid`;
  const words = ["--no-mtab", "--internal-only", "--types", "proc", "--options", options];
  const { status, stderr, error } = spawnSync(findTool("mount"), [...words, "proc", target], {
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: TIMEOUT_MS,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(stderr.trim());
}
