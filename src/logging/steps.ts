// SPDX-License-Identifier: Apache-2.0
import { noteMoment } from "./moments.ts";

/** A step of a longer piece of work, and how long it took. */
export interface Step {
  name: string;
  milliseconds: number;
}

/** Measures steps that follow each other; with the name of a program, their ends are moments too. */
export class Steps {
  readonly all: Step[] = [];
  readonly #program: string | undefined;

  constructor(program?: string) {
    this.#program = program;
  }

  async run<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const startedAt = performance.now();
    const result = await work();
    this.all.push({ name, milliseconds: Math.round(performance.now() - startedAt) });
    if (this.#program !== undefined) noteMoment(this.#program, name);
    return result;
  }
}
