// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { lutimesSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { bundlesDirectory, namesDirectory } from "../../../src/cli/container/paths.ts";
import {
  identitiesDirectory,
  runRoot,
  sandboxesDirectory,
  shimSocketsDirectory,
} from "../../../src/linux/paths.ts";
import { type Outcome, outcomeOf } from "../mukon.ts";
import type { TracedCall } from "./calls.ts";
import { readCalls, type TraceRequest, traced } from "./tracer.ts";

const AN_HOUR_MS = 3_600_000;

/** A program that is traced from its first instruction on, and what its first thread did. */
export async function runTraced(
  argv: readonly string[],
  request: TraceRequest & { cwd?: string },
): Promise<Outcome & { calls: TracedCall[] }> {
  const [program = "", ...rest] = [...traced(request), ...argv];
  const child: ChildProcess = spawn(program, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
  });
  const outcome = await outcomeOf(child, 120_000);
  return { ...outcome, calls: readCalls(request.output) };
}

/** `mukon gc` leaves alone what may be on its way: here nothing is, any more. */
export function ageAll(): void {
  const then = (Date.now() - AN_HOUR_MS) / 1000;
  const directories = [
    ...[runRoot(), join(runRoot(), "jails"), sandboxesDirectory(), identitiesDirectory()],
    ...[shimSocketsDirectory(), bundlesDirectory(), namesDirectory()],
  ];
  for (const directory of directories) {
    for (const name of entries(directory)) lutimesSync(join(directory, name), then, then);
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
