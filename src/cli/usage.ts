// SPDX-License-Identifier: Apache-2.0
import { type Command, CommanderError } from "commander";
import { MukonError } from "../errors/mukon-error.ts";

/**
 * A failure with a hint, when it is about a wrong command line: the hint names the command whose
 * help tells what is accepted. Other failures are returned as they are.
 */
export function explainUsage(error: unknown, program: Command, words: readonly string[]): unknown {
  const isOurs = error instanceof MukonError && error.code === "USAGE";
  if (!isOurs && !(error instanceof CommanderError)) return error;
  if (isOurs && error.hint !== undefined) return error;
  const message = error.message.replace(/^error: /, "").replaceAll("\n", " ");
  return new MukonError("USAGE", message, {
    hint: `see: ${commandPath(program, words)} --help`,
    cause: error,
  });
}

/** The command that was meant, with its parents, as far as it is known: `mukon image pull`. */
function commandPath(program: Command, words: readonly string[]): string {
  const path = [program.name()];
  let command = program;
  for (const word of words) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    path.push(word);
    command = next;
  }
  return path.join(" ");
}
