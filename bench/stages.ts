// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sandboxDirectory } from "../src/linux/paths.ts";
import { run } from "../src/linux/run.ts";

const program = join(import.meta.dirname, "..", "dist", "mukon.cjs");

/** Milliseconds of each step of a pod's start, as its shim logged them, in their order. */
export type StageTimes = Map<string, number>;

/** Starts a pod in the background, reads what its shim says of the start, and removes it. */
export async function stagesOfOnePod(env: NodeJS.ProcessEnv): Promise<StageTimes> {
  const mukon = [process.execPath, "--", program];
  const began = performance.now();
  const { stdout } = await run([...mukon, "run", "-d", "busybox", "sleep", "1000"], { env });
  const whole = performance.now() - began;
  const id = stdout.trim();
  try {
    const log = readFileSync(join(sandboxDirectory(id), "shim.log"), "utf8");
    return new Map([...parseStages(log), ["whole command (-d)", Math.round(whole)]]);
  } finally {
    await run([...mukon, "rm", "--force", id], { env });
  }
}

function parseStages(log: string): [string, number][] {
  for (const line of log.split("\n").filter(Boolean)) {
    const { message, stages } = JSON.parse(line) as {
      message: string;
      stages?: { name: string; milliseconds: number }[];
    };
    if (message === "pod started" && stages !== undefined) {
      return stages.map(({ name, milliseconds }) => [name, milliseconds]);
    }
  }
  throw new Error("the shim's log says nothing of the stages of the start");
}
