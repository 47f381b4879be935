// SPDX-License-Identifier: Apache-2.0
import { type SpawnOptions, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { AgentError, Status } from "../errors.ts";
import type { Reaper } from "./reaper.ts";

const OOM_SCORE_FILE = "/proc/self/oom_score_adj";
/** The kernel kills anything else first. */
export const AGENT_OOM_SCORE = "-1000";
const DEFAULT_TIMEOUT_MS = 60_000;
const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

/** Output descriptors (numbers) or nothing for each of the three standard streams. */
export type StandardStreams = readonly [number | "ignore", number | "ignore", number | "ignore"];

export interface ProgramRequest {
  readonly argv: readonly string[];
  readonly streams?: StandardStreams;
  readonly timeoutMs?: number;
}

/**
 * Runs a program without a shell and resolves with its exit code.
 * @throws AgentError when it cannot start (out of processes, not in the image) or takes too long
 */
export async function runProgram(reaper: Reaper, request: ProgramRequest): Promise<number> {
  const { argv, streams = ["ignore", "ignore", "ignore"] } = request;
  const [program = "", ...values] = argv;
  const child = spawnKillable(program, values, {
    stdio: [...streams],
    env: ENVIRONMENT,
    cwd: "/",
  });
  const pid = child.pid;
  if (pid !== undefined) reaper.addOwn(pid);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (exitCode) => resolve(exitCode ?? 255));
    });
    if (isLate) throw new AgentError(Status.deadlineExceeded, `${program} takes too long`);
    return code;
  } catch (error) {
    if (error instanceof AgentError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AgentError(Status.internal, `cannot run ${argv.join(" ")}: ${reason}`, error);
  } finally {
    clearTimeout(timer);
    if (pid !== undefined) reaper.removeOwn(pid);
  }
}

/**
 * Children inherit the agent's protection from the OOM killer, and a container that had it could
 * not be stopped from filling the guest's memory: the agent goes without for the moment of the fork.
 */
function spawnKillable(program: string, values: readonly string[], options: SpawnOptions) {
  setOomScore("0");
  try {
    return spawn(program, values, options);
  } finally {
    setOomScore(AGENT_OOM_SCORE);
  }
}

export function setOomScore(score: string): void {
  writeFileSync(OOM_SCORE_FILE, score);
}
