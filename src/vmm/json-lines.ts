// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";

const NEWLINE = 0x0a;

export interface JsonLineLimits {
  maxLineBytes: number;
  /** Code of the error when the other side breaks the rules. */
  errorCode: string;
  /** What the lines are, for that error's message: "A message of QEMU". */
  subject: string;
}

/**
 * Cuts a stream of bytes into lines of JSON and never holds more than one line's worth of them.
 * Errors: the code of its limits, when a line is too long, no UTF-8 or no JSON; the stream must
 * not be used further then.
 */
export class JsonLineDecoder {
  readonly #limits: JsonLineLimits;
  readonly #text = new TextDecoder("utf-8", { fatal: true });
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  constructor(limits: JsonLineLimits) {
    this.#limits = limits;
  }

  /** The values that `chunk` completes, in order. */
  *push(chunk: Buffer): Generator<unknown> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      yield this.#take();
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(piece: Buffer): void {
    const { maxLineBytes, errorCode, subject } = this.#limits;
    this.#pendingBytes += piece.length;
    if (this.#pendingBytes > maxLineBytes) {
      throw new MukonError(errorCode, `${subject} is longer than ${maxLineBytes} bytes.`);
    }
    if (piece.length > 0) this.#pieces.push(piece);
    // A sender of single bytes must not cost an object for each.
    if (this.#pieces.length > 256) this.#pieces = [Buffer.concat(this.#pieces)];
  }

  #take(): unknown {
    const line = Buffer.concat(this.#pieces, this.#pendingBytes);
    this.#pieces = [];
    this.#pendingBytes = 0;
    try {
      return JSON.parse(this.#text.decode(line));
    } catch (cause) {
      const { errorCode, subject } = this.#limits;
      throw new MukonError(errorCode, `${subject} is not JSON.`, { cause });
    }
  }
}
