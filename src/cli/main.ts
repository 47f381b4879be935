// SPDX-License-Identifier: Apache-2.0
import { CommanderError } from "commander";
import { asMukonError, formatError } from "../errors/mukon-error.ts";
import { noteProcessStart } from "../logging/moments.ts";
import { printNote } from "./output/print.ts";
import { makeProgram } from "./program.ts";
import { explainUsage } from "./usage.ts";

/** As Docker's and the shell's: 125 when mukon failed, and what has a code of its own. */
const FAILED = 125;
/** Images and programs have to be read by users without rights; all that is secret has a mode of its own. */
const UMASK = 0o022;
const WRONG_USAGE = 2;
const EXIT_CODES: Readonly<Record<string, number>> = {
  USAGE: WRONG_USAGE,
  CONTAINER_PROGRAM_NOT_EXECUTABLE: 126,
  CONTAINER_PROGRAM_NOT_FOUND: 127,
};

async function main(): Promise<void> {
  noteProcessStart("cli");
  // That of a hardened root shell may be stricter.
  process.umask(UMASK);
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
    process.exitCode = EXIT_CODES[failure.code] ?? FAILED;
  }
}

/** Help or the version was printed already, because it was asked for or no command was given. */
function isHelp(error: unknown): error is CommanderError {
  if (!(error instanceof CommanderError)) return false;
  return error.exitCode === 0 || error.code === "commander.help";
}

void main();
