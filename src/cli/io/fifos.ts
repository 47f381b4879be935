// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../linux/run.ts";

/** Paths of a process' streams, as the Task API wants them; "" is /dev/null. */
export interface StreamPaths {
  stdin: string;
  stdout: string;
  stderr: string;
}

export interface StreamChoices {
  stdin: boolean;
  terminal: boolean;
}

/** Makes the FIFOs of one process in a directory of their own. A terminal has no separate stderr. */
export async function makeFifos(directory: string, choices: StreamChoices): Promise<StreamPaths> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const paths: StreamPaths = {
    stdin: choices.stdin ? join(directory, "stdin") : "",
    stdout: join(directory, "stdout"),
    stderr: choices.terminal ? "" : join(directory, "stderr"),
  };
  await run(["mkfifo", "-m", "0600", ...Object.values(paths).filter((path) => path !== "")]);
  return paths;
}

/** Makes just a FIFO for input; output goes elsewhere. */
export async function makeInputFifo(directory: string): Promise<string> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "stdin");
  await run(["mkfifo", "-m", "0600", path]);
  return path;
}

export function removeFifos(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}
