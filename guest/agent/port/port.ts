// SPDX-License-Identifier: Apache-2.0
import { openSync, read, readSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { isSystemError } from "../errors.ts";
import { callInPool, libc } from "../native/libc.ts";

const POLL = "int poll(void *descriptors, unsigned long count, int timeoutMs)";
const READABLE = 0x001;
const WRITABLE = 0x004;
const HUNG_UP = 0x010;
/** The driver hands out one page per read. */
const READ_BYTES = 64 << 10;
/** So many reads in a row before other work gets its turn. */
const READS_IN_A_ROW = 64;
/** The driver takes 32 KiB per write. */
const WRITE_BYTES = 32 << 10;
const DISCONNECTED_POLL_MS = 20;
const WRITABLE_POLL_MS = 100;

export interface PortHandlers {
  onData(chunk: Buffer): void;
  onDisconnect(): void;
}

/**
 * The host's side of a virtio-serial port. Its node can be opened only once, blocks, and no event
 * loop watches it: a thread of the pool waits for the first byte, and what else is there is read
 * at once. Writing never blocks a thread: a write that waits could not be taken back when the host
 * goes away, and would then be the first thing that the next connection reads.
 */
export class Port {
  readonly #fd: number;
  readonly #handlers: PortHandlers;
  readonly #queue: Buffer[] = [];
  readonly #pollRequest = Buffer.alloc(8);
  #isWriting = false;
  #isConnected = false;
  /** Counts up: the rest of a frame must not go to the next connection. */
  #connection = 0;

  constructor(path: string, handlers: PortHandlers) {
    this.#fd = openSync(path, "r+");
    this.#handlers = handlers;
  }

  /** Reads until the process ends. */
  async run(): Promise<never> {
    const buffer = Buffer.alloc(READ_BYTES);
    for (;;) {
      const count = await this.#waitForBytes(buffer);
      if (count > 0) {
        this.#connected();
        this.#deliver(buffer, count);
        this.#readWhatIsThere(buffer);
      } else {
        this.#disconnected();
        await delay(DISCONNECTED_POLL_MS);
      }
    }
  }

  /** Queues a whole frame; frames never mix. */
  send(frame: Buffer): void {
    if (!this.#isConnected) return;
    this.#queue.push(frame);
    if (!this.#isWriting) void this.#drain();
  }

  #waitForBytes(buffer: Buffer): Promise<number> {
    return new Promise((resolve) => {
      read(this.#fd, buffer, 0, buffer.length, null, (error, count) => {
        if (error === null) resolve(count);
        // To take it for a host that hangs up would be to answer none of the calls that it waits for.
        else if (isInterruption(error)) resolve(this.#waitForBytes(buffer));
        else resolve(0);
      });
    });
  }

  #readWhatIsThere(buffer: Buffer): void {
    for (let index = 0; index < READS_IN_A_ROW; index += 1) {
      if ((this.#poll(READABLE) & (READABLE | HUNG_UP)) !== READABLE) return;
      const count = readSync(this.#fd, buffer);
      if (count === 0) return;
      this.#deliver(buffer, count);
    }
  }

  #deliver(buffer: Buffer, count: number): void {
    this.#handlers.onData(Buffer.from(buffer.subarray(0, count)));
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    for (let frame = this.#queue.shift(); frame !== undefined; frame = this.#queue.shift()) {
      await this.#write(frame);
    }
    this.#isWriting = false;
  }

  async #write(frame: Buffer): Promise<void> {
    const connection = this.#connection;
    let offset = 0;
    while (offset < frame.length && this.#isConnected && connection === this.#connection) {
      const events = this.#poll(WRITABLE);
      if ((events & HUNG_UP) !== 0) return;
      if ((events & WRITABLE) === 0) {
        await this.#waitUntilWritable();
      } else {
        const length = Math.min(WRITE_BYTES, frame.length - offset);
        offset += writeSync(this.#fd, frame, offset, length);
      }
    }
  }

  async #waitUntilWritable(): Promise<void> {
    try {
      await callInPool(POLL, this.#request(Buffer.alloc(8), WRITABLE), 1, WRITABLE_POLL_MS);
    } catch (error) {
      // The end of a child is told to any thread, and ends the wait: it is asked for anew.
      if (!isInterruption(error)) throw error;
    }
  }

  #poll(events: number): number {
    libc(POLL)(this.#request(this.#pollRequest, events), 1, 0);
    return this.#pollRequest.readUInt16LE(6);
  }

  #request(request: Buffer, events: number): Buffer {
    request.writeInt32LE(this.#fd, 0);
    request.writeInt16LE(events, 4);
    request.writeInt16LE(0, 6);
    return request;
  }

  #connected(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#connection += 1;
  }

  #disconnected(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#queue.length = 0;
    this.#handlers.onDisconnect();
  }
}

/** A signal's handler ran meanwhile, on this thread: while a program is being started, on any but the main one. */
function isInterruption(error: unknown): boolean {
  return isSystemError(error, "EINTR");
}
