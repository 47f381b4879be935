// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import type { RunResult } from "../linux/run.ts";
import { guardDisk } from "./disk-guard.ts";
import { type JailOptions, runJailed } from "./jail/run.ts";
import { type Stage, stageFailure } from "./source/failures.ts";
import type { Workspace } from "./workspace.ts";

/** One program of a pull: which, for what, and where. */
export interface Step extends Omit<JailOptions, "jailDirectory"> {
  stage: Stage;
  /** For messages. */
  reference: string;
  argv: readonly string[];
  workspace: Workspace;
}

/**
 * Runs a program in its jail, with an eye on the disk.
 * @throws the error of its stage (see failures.ts), IMAGE_STORE_FULL, IMAGE_TOO_LARGE
 */
export async function runStep(step: Step): Promise<RunResult> {
  const { stage, reference, argv, workspace, ...options } = step;
  const guard = { directory: workspace.directory, limits: step.limits, signal: step.signal };
  const { jailDirectory } = workspace;
  const result = await guardDisk(guard, (signal) =>
    runJailed(argv, { ...options, jailDirectory, signal }).catch((error: unknown) => {
      if (!(error instanceof MukonError) || error.code !== "COMMAND_TIMEOUT") throw error;
      const stderr = `timeout: not done within ${step.limits.timeoutMs} ms`;
      return { code: null, signal: "SIGKILL", stdout: "", stderr } satisfies RunResult;
    }),
  );
  if (result.code !== 0) throw stageFailure(stage, reference, result);
  return result;
}
