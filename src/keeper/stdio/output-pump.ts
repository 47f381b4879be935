// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import type { Sink } from "./sink.ts";

/** Bytes asked for at a time: large enough that the round trip to the guest does not count. */
export const READ_BYTES = 256 * 1024;
/** Bytes written at a time: small enough that a slow reader is seen to get on. */
const WRITE_BYTES = 16 * 1024;

export interface OutputPumpOptions {
  /** Reads up to {@link READ_BYTES}; empty at the end of the stream. */
  read: (maxBytes: number) => Promise<Uint8Array>;
  sink: Sink;
}

/**
 * Copies one output stream of the guest. At most two pieces are in memory: one that is being
 * written and one that was read meanwhile; so a reader who is slow holds the guest's process up,
 * and costs the host nothing.
 */
export class OutputPump {
  /** Resolves when all was handed on, or no more can be; never rejects. */
  readonly finished: Promise<void>;
  readonly #options: OutputPumpOptions;
  #writtenBytes = 0;
  #isStopped = false;

  constructor(options: OutputPumpOptions) {
    this.#options = options;
    this.finished = this.#run();
  }

  /** Grows with what was handed on. */
  get progress(): number {
    return this.#writtenBytes;
  }

  /** Gives up what was not handed on yet. */
  stop(): void {
    this.#isStopped = true;
    this.#options.sink.close();
  }

  async #run(): Promise<void> {
    let written: Promise<void> = Promise.resolve();
    let canWrite = true;
    try {
      while (!this.#isStopped) {
        const data = await this.#options.read(READ_BYTES);
        await written;
        if (data.length === 0) break;
        if (!canWrite) continue;
        written = this.#writeAll(data).catch(() => {
          // A full disk, say: the rest is read and dropped, as the process must not hang.
          canWrite = false;
        });
      }
    } catch {
      // Reading failed: the guest is lost, which is found out elsewhere.
    }
    await written;
    this.#options.sink.close();
  }

  async #writeAll(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#isStopped; at += WRITE_BYTES) {
      const piece = data.subarray(at, at + WRITE_BYTES);
      await this.#options.sink.write(piece);
      this.#writtenBytes += piece.length;
    }
  }
}

export interface DrainLimits {
  /** Without progress for so long, the rest is given up. */
  stallMs: number;
  /** In any case after this. */
  totalMs: number;
}

const POLL_MS = 200;

/** Waits until all pumps have finished; stops those that do not get on. */
export async function drain(pumps: readonly OutputPump[], limits: DrainLimits): Promise<void> {
  let isFinished = false;
  const finished = Promise.all(pumps.map((pump) => pump.finished)).then(() => {
    isFinished = true;
  });
  const total = (): number => pumps.reduce((sum, pump) => sum + pump.progress, 0);
  const start = performance.now();
  let lastProgress = { at: start, count: total() };
  while (!isFinished) {
    await Promise.race([finished, delay(POLL_MS)]);
    const now = performance.now();
    if (total() !== lastProgress.count) lastProgress = { at: now, count: total() };
    if (now - lastProgress.at > limits.stallMs || now - start > limits.totalMs) break;
  }
  for (const pump of pumps) pump.stop();
}
