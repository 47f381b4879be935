// SPDX-License-Identifier: Apache-2.0

export const HEADER_BYTES = 10;
/** The largest data part that ttrpc allows. */
export const MAX_DATA_BYTES = 4 << 20;

export const MessageType = { request: 1, response: 2 } as const;

export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  readonly data: Buffer;
  /** The frame was longer than {@link MAX_DATA_BYTES}; its data was thrown away. */
  readonly isTooLong: boolean;
}

/** Cuts a byte stream into frames; a frame that is too long is skipped, and the stream lives on. */
export class FrameParser {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #toSkip = 0;

  /** The frames completed by this chunk, which the parser may keep parts of. */
  push(chunk: Buffer): Frame[] {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    this.#skip();
    if (this.#toSkip > 0 || this.#pendingBytes < HEADER_BYTES) return undefined;
    const header = this.#peek(HEADER_BYTES);
    const length = header.readUInt32BE(0);
    const rest = {
      streamId: header.readUInt32BE(4),
      type: header.readUInt8(8),
      flags: header.readUInt8(9),
    };
    if (length > MAX_DATA_BYTES) {
      this.#take(HEADER_BYTES);
      this.#toSkip = length;
      return { ...rest, data: Buffer.alloc(0), isTooLong: true };
    }
    if (this.#pendingBytes < HEADER_BYTES + length) return undefined;
    const data = this.#take(HEADER_BYTES + length).subarray(HEADER_BYTES);
    return { ...rest, data, isTooLong: false };
  }

  #skip(): void {
    const count = Math.min(this.#toSkip, this.#pendingBytes);
    if (count === 0) return;
    this.#take(count);
    this.#toSkip -= count;
  }

  #peek(count: number): Buffer {
    const first = this.#pending[0];
    if (first !== undefined && first.length >= count) return first;
    const whole = Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [whole];
    return whole;
  }

  #take(count: number): Buffer {
    const whole = this.#peek(count);
    const rest = whole.subarray(count);
    this.#pending.shift();
    if (rest.length > 0) this.#pending.unshift(rest);
    this.#pendingBytes -= count;
    return whole.subarray(0, count);
  }
}

/** A whole frame as one buffer: frames of concurrent calls must never mix. */
export function makeFrame(streamId: number, type: number, chunks: readonly Buffer[]): Buffer {
  const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(streamId, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(0, 9);
  let offset = HEADER_BYTES;
  for (const chunk of chunks) offset += chunk.copy(frame, offset);
  return frame;
}
