// SPDX-License-Identifier: Apache-2.0
import { closeSync, createReadStream, fstatSync } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";

export interface InputPumpOptions {
  /** Open for reading, never blocking. */
  descriptor: number;
  /** Open for writing: keeps the FIFO from ending when a client lets go of it. */
  holderDescriptor: number;
  /** Writes some of `data` to the guest's process; returns how much. */
  write: (data: Uint8Array) => Promise<number>;
  /** Ends the input of the guest's process. */
  end: () => Promise<void>;
}

/** Copies standard input into the guest; reads on only when the process there has taken all. */
export class InputPump {
  readonly #options: InputPumpOptions;
  readonly #stream: Readable;
  #isHeld = true;

  /** Takes both descriptors over. */
  constructor(options: InputPumpOptions) {
    this.#options = options;
    this.#stream = openSource(options.descriptor);
    this.#stream.on("error", () => {});
  }

  /** Copies until the end of either side; never rejects. */
  async run(): Promise<void> {
    try {
      for await (const chunk of this.#stream) await this.#writeAll(chunk);
      await this.#options.end();
    } catch {
      // The process reads no more, or the guest is lost: in both cases nobody wants the rest.
    } finally {
      this.stop();
    }
  }

  /** Lets the FIFO end as soon as no client has it open. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    closeSync(this.#options.holderDescriptor);
  }

  stop(): void {
    this.release();
    this.#stream.destroy();
  }

  async #writeAll(chunk: Buffer): Promise<void> {
    for (let rest: Uint8Array = chunk; rest.length > 0; ) {
      rest = rest.subarray(await this.#options.write(rest));
    }
  }
}

function openSource(descriptor: number): Readable {
  const stat = fstatSync(descriptor);
  if (stat.isFIFO() || stat.isSocket()) {
    return new Socket({ fd: descriptor, readable: true, writable: false });
  }
  return createReadStream("", { fd: descriptor });
}
