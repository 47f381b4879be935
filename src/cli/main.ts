// SPDX-License-Identifier: Apache-2.0
import { CommanderError } from "commander";
import { asMukonError, formatError } from "../errors/mukon-error.ts";
import { printNote } from "./output/print.ts";
import { makeProgram } from "./program.ts";
import { explainUsage } from "./usage.ts";

/** Exit codes as Docker's: 125 when mukon failed, 2 for a wrong command line. */
const FAILED = 125;
const WRONG_USAGE = 2;

async function main(): Promise<void> {
  const program = makeProgram();
  try {
    await program.parseAsync(process.argv);
  } catch (error) {
    if (isHelp(error)) {
      process.exitCode = error.exitCode === 0 ? 0 : WRONG_USAGE;
      return;
    }
    const failure = asMukonError(explainUsage(error, program, process.argv.slice(2)));
    printNote(`mukon: ${formatError(failure)}`);
    process.exitCode = failure.code === "USAGE" ? WRONG_USAGE : FAILED;
  }
}

/** Help or the version was printed already, because it was asked for or no command was given. */
function isHelp(error: unknown): error is CommanderError {
  if (!(error instanceof CommanderError)) return false;
  return error.exitCode === 0 || error.code === "commander.help";
}

void main();
