// SPDX-License-Identifier: Apache-2.0
import { type RunResult, run } from "../../linux/run.ts";

/** User and group "nobody": it owns nothing. */
export const NOBODY = 65_534;
const TIMEOUT_MS = 10_000;

/** Runs a program that only has a question to answer, without any right. It may fail. */
export async function runAsNobody(argv: readonly string[]): Promise<RunResult> {
  const walls = [
    ...["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"],
    ...["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"],
  ];
  return await run([...walls, ...argv], { timeoutMs: TIMEOUT_MS, allowFailure: true, cwd: "/" });
}
