// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import { noteMoment, noteSteps, now } from "../logging/moments.ts";

/** One step of a pod's start, and how long it took. */
export interface Stage {
  name: string;
  milliseconds: number;
}

/** Enough of the guest's last words to see what went wrong. */
const MAX_TAIL_LINES = 15;

/** Measures the steps of a pod's start, and names the one that failed. */
export class Stages {
  readonly #done: Stage[] = [];

  get all(): readonly Stage[] {
    return this.#done;
  }

  /** Steps that somebody else has measured, and that have just ended. */
  add(stages: readonly Stage[]): void {
    this.#done.push(...stages);
    const whole = stages.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    noteSteps("keeper", now() - whole, stages);
  }

  /**
   * Runs a step.
   * @throws MukonError with the code of what failed; its message has the stage and the console's tail
   */
  async run<Result>(name: string, work: () => Promise<Result> | Result): Promise<Result> {
    const startedAt = performance.now();
    try {
      return await work();
    } catch (error) {
      throw atStage(name, error);
    } finally {
      this.#done.push({ name, milliseconds: Math.round(performance.now() - startedAt) });
      noteMoment("shim", name);
    }
  }
}

/** The error, with the stage and the guest's last words in its message. */
export function atStage(stage: string, error: unknown): MukonError {
  const known = asMukonError(error);
  const details = known.details ?? {};
  const inner = typeof details.stage === "string" ? `${stage}, ${details.stage}` : stage;
  const tail = typeof details.consoleTail === "string" ? lastLines(details.consoleTail) : "";
  const message = `The pod did not start (stage: ${inner}): ${known.message}`;
  return new MukonError(known.code, `${message}${tail}`, {
    details: { ...details, stage: inner },
    cause: error,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
  });
}

function lastLines(console: string): string {
  const lines = console.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return "";
  const shown = lines.slice(-MAX_TAIL_LINES).map((line) => `    ${line.slice(0, 200)}`);
  return `\n  last lines of the guest's console:\n${shown.join("\n")}`;
}
