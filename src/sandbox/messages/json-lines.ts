// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";

const NEWLINE = 0x0a;

/**
 * Cuts a stream of bytes into lines of JSON and never holds more than one line's worth of them.
 *
 * Errors: `KEEPER_PROTOCOL` when a line is too long, is not UTF-8 or not JSON; the stream must
 * not be used further then.
 */
export class JsonLineDecoder {
  readonly #maxLineBytes: number;
  #pieces: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
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
    this.#pendingBytes += piece.length;
    if (this.#pendingBytes > this.#maxLineBytes) {
      throw new MukonError(
        "KEEPER_PROTOCOL",
        `A message between shim and keeper is longer than ${this.#maxLineBytes} bytes.`,
      );
    }
    if (piece.length > 0) this.#pieces.push(piece);
  }

  #take(): unknown {
    const line = Buffer.concat(this.#pieces, this.#pendingBytes);
    this.#pieces = [];
    this.#pendingBytes = 0;
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    } catch (cause) {
      throw new MukonError("KEEPER_PROTOCOL", "A message between shim and keeper is not JSON.", {
        cause,
      });
    }
  }
}

/** One value as a line; `KEEPER_PROTOCOL` when it is longer than the other side accepts. */
export function encodeJsonLine(value: unknown, maxLineBytes: number): Buffer {
  const line = Buffer.from(`${JSON.stringify(value)}\n`);
  if (line.length - 1 > maxLineBytes) {
    throw new MukonError(
      "KEEPER_PROTOCOL",
      `A message of ${line.length} bytes is over the ${maxLineBytes} that shim and keeper accept.`,
    );
  }
  return line;
}
