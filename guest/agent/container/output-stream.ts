// SPDX-License-Identifier: Apache-2.0
import type { Socket } from "node:net";

/** What the agent keeps of output that the host has not asked for yet; then the pipe fills. */
const HIGH_WATER_BYTES = 1 << 20;
/** A reply must fit a frame; the host asks for less than this. */
const MAX_READ_BYTES = 1 << 20;
/** After its process ended, a stream that stays silent so long has ended too. */
const GRACE_AFTER_EXIT_MS = 500;

const EMPTY = Buffer.alloc(0);

interface Reader {
  readonly maxBytes: number;
  resolve(data: Buffer): void;
}

/** Output of a process, kept until it is read; empty data says that there is no more. */
export class OutputStream {
  readonly #source: Socket;
  readonly #chunks: Buffer[] = [];
  readonly #readers: Reader[] = [];
  #bytes = 0;
  #hasEnded = false;
  #grace: NodeJS.Timeout | undefined;

  /** @param readRest what the source leaves unread when it says that it has ended */
  constructor(source: Socket, readRest: () => Buffer = () => EMPTY) {
    this.#source = source;
    source.on("data", (chunk: Buffer) => this.#take(chunk));
    source.once("end", () => this.#takeRest(readRest));
    // A terminal whose last process is gone says EIO.
    source.on("error", () => this.#end());
    source.once("close", () => this.#end());
  }

  /** True when all has been read. */
  get isDrained(): boolean {
    return this.#hasEnded && this.#bytes === 0;
  }

  read(maxBytes: number): Promise<Buffer> {
    return new Promise((resolve) => {
      const limit = Math.min(Math.max(maxBytes, 1), MAX_READ_BYTES);
      this.#readers.push({ maxBytes: limit, resolve });
      this.#serve();
    });
  }

  /** A process left behind may hold the stream open for ever: do not wait for that. */
  processEnded(): void {
    if (this.#hasEnded || this.#grace !== undefined) return;
    this.#grace = setTimeout(() => this.#graceOver(), GRACE_AFTER_EXIT_MS);
  }

  /** Whoever waits gets nothing, and takes nothing from those who come later. */
  forgetReaders(): void {
    this.#readers.length = 0;
  }

  close(): void {
    this.#source.destroy();
    this.#end();
  }

  #graceOver(): void {
    this.#grace = undefined;
    // Paused means that more is waiting in the pipe.
    if (this.#source.isPaused()) this.processEnded();
    else this.close();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= HIGH_WATER_BYTES) this.#source.pause();
    this.#grace?.refresh();
    this.#serve();
  }

  #takeRest(readRest: () => Buffer): void {
    if (this.#hasEnded) return;
    const rest = readRest();
    if (rest.length > 0) this.#take(rest);
    this.#end();
  }

  #end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#grace);
    this.#serve();
  }

  #serve(): void {
    while (this.#bytes > 0 || this.#hasEnded) {
      const reader = this.#readers.shift();
      if (reader === undefined) return;
      reader.resolve(this.#give(reader.maxBytes));
    }
  }

  #give(maxBytes: number): Buffer {
    const parts: Buffer[] = [];
    let room = maxBytes;
    for (let chunk = this.#chunks[0]; chunk !== undefined && room > 0; chunk = this.#chunks[0]) {
      const part = chunk.subarray(0, room);
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
      parts.push(part);
      room -= part.length;
    }
    this.#bytes -= maxBytes - room;
    if (this.#bytes < HIGH_WATER_BYTES && this.#source.isPaused()) this.#source.resume();
    if (parts.length === 1) return parts[0] ?? EMPTY;
    return Buffer.concat(parts, maxBytes - room);
  }
}
