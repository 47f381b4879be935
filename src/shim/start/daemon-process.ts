// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { dropTool } from "../../host/launcher/tools.ts";
import { BOUNDED } from "./capabilities.ts";

const MAX_OOM_SCORE_ADJUST = 1000;

export interface DaemonStart {
  /** Path of the daemon's bundle, then its arguments. */
  argv: readonly string[];
  /** Becomes descriptor 3. */
  listening: number;
  /** Runtime options as they came, or none. */
  options: Buffer;
}

/** The variable that the daemon finds its runtime options in, as base64. */
export const OPTIONS_VARIABLE = "MUKON_SHIM_OPTIONS";

/**
 * Starts the daemon, which outlives this process: its own session, no stream of ours (containerd
 * waits for the end of those), no capability and nothing of the environment that it does not need.
 * @throws SHIM_DAEMON, COMMAND_NOT_FOUND
 */
export async function startDaemon(start: DaemonStart): Promise<void> {
  // Not by the daemon itself: capabilities are each thread's own, and Node has begun with several.
  const child = spawn(dropTool(), [...BOUNDED, "--", process.execPath, ...start.argv], {
    stdio: ["ignore", "ignore", "ignore", start.listening],
    detached: true,
    cwd: "/",
    env: { ...inherited(), [OPTIONS_VARIABLE]: start.options.toString("base64") },
  });
  await new Promise<void>((done, fail) => {
    child.once("spawn", done);
    child.once("error", (cause) =>
      fail(
        new MukonError("SHIM_DAEMON", `the shim's daemon did not start: ${cause.message}`, {
          cause,
        }),
      ),
    );
  });
  raiseOomScore(child.pid ?? 0);
  child.unref();
}

/** What a process of ours gets of this one's environment. Node's own variables, set for containerd or for somebody's shell, could change what it runs. */
export function inherited(): NodeJS.ProcessEnv {
  const names = ["PATH", "KATA_CONF_FILE", "TTRPC_ADDRESS"];
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => names.includes(name) || name.startsWith("MUKON_"),
    ),
  );
}

/** Under want of memory the shim goes before containerd does, as Go's shims have it. */
function raiseOomScore(pid: number): void {
  try {
    const own = Number(readFileSync(`/proc/${process.ppid}/oom_score_adj`, "utf8"));
    const score = Math.min(own + 1, MAX_OOM_SCORE_ADJUST);
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch {
    // Without CAP_SYS_RESOURCE, or in a container: it keeps the score it has.
  }
}
