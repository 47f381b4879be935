// SPDX-License-Identifier: Apache-2.0
import type { Readable } from "node:stream";

/** How much of the guest's console is kept. */
export const CONSOLE_RING_BYTES = 64 * 1024;

/** The last bytes of a stream, whatever its length. */
export class ConsoleRing {
  readonly #ring: Buffer;
  #written = 0;

  constructor(capacityBytes = CONSOLE_RING_BYTES) {
    this.#ring = Buffer.alloc(capacityBytes);
  }

  push(chunk: Buffer): void {
    const kept = chunk.subarray(-this.#ring.length);
    this.#written += chunk.length - kept.length;
    const at = this.#written % this.#ring.length;
    const first = kept.subarray(0, this.#ring.length - at);
    first.copy(this.#ring, at);
    kept.copy(this.#ring, 0, first.length);
    this.#written += kept.length;
  }

  /** What is kept, as text; bytes that are no UTF-8 become replacement characters. */
  text(): string {
    if (this.#written <= this.#ring.length) return this.#ring.toString("utf8", 0, this.#written);
    const at = this.#written % this.#ring.length;
    return Buffer.concat([this.#ring.subarray(at), this.#ring.subarray(0, at)]).toString("utf8");
  }
}

/**
 * Reads the console for ever, so that the guest is never held up by it. The promise resolves when
 * it has ended.
 */
export function followConsole(stream: Readable, ring: ConsoleRing): Promise<void> {
  stream.on("data", (chunk: Buffer) => ring.push(chunk));
  stream.on("error", () => {});
  return new Promise((resolve) => stream.once("close", resolve));
}
