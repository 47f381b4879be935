// SPDX-License-Identifier: Apache-2.0
import { Duplex } from "node:stream";

export type Answer = (command: {
  execute: string;
  arguments: Record<string, unknown>;
  id: number;
}) => unknown;

export const GREETING = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}}}\r\n`;

/** The other end of a control socket: answers commands, and says whatever the test wants. */
export class FakeQemu extends Duplex {
  readonly commands: string[] = [];
  readonly #answer: Answer;

  constructor(answer: Answer = () => ({}), greeting = GREETING) {
    super();
    this.#answer = answer;
    this.push(greeting);
  }

  say(text: string | Buffer): void {
    this.push(text);
  }

  hangUp(): void {
    this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const command = JSON.parse(chunk.toString());
    this.commands.push(command.execute);
    const result = this.#answer(command);
    if (result !== undefined) {
      const reply =
        typeof result === "string"
          ? result
          : JSON.stringify(
              result instanceof Error
                ? { error: { class: "GenericError", desc: result.message }, id: command.id }
                : { return: result, id: command.id },
            );
      this.push(`${reply}\r\n`);
    }
    done();
  }
}
