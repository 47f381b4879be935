// SPDX-License-Identifier: Apache-2.0
import { CommanderError } from "commander";
import { formatError } from "../errors/mukon-error.ts";
import { printNote } from "./output/print.ts";
import { makeProgram } from "./program.ts";

/** Exit codes as Docker's: 125 when mukon failed, 2 for a wrong command line. */
const FAILED = 125;
const WRONG_USAGE = 2;

async function main(): Promise<void> {
  try {
    await makeProgram().parseAsync(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
      return;
    }
    printNote(`mukon: ${formatError(error)}`);
    const isUsage = (error as { code?: unknown }).code === "USAGE";
    process.exitCode = isUsage ? WRONG_USAGE : FAILED;
  }
}

void main();
