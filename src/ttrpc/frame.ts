// SPDX-License-Identifier: Apache-2.0

/** Length, stream, type, flags; all integers big endian (ttrpc's PROTOCOL.md). */
export const HEADER_BYTES = 10;
/** Longest payload that a frame may have. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

export const FrameType = { REQUEST: 1, RESPONSE: 2, DATA: 3 } as const;

export interface Frame {
  streamId: number;
  /** See {@link FrameType}; others may come, and are to be ignored. */
  type: number;
  flags: number;
  payload: Buffer;
  /** The payload was longer than allowed, and was dropped; the next frame follows as usual. */
  isTooLong: boolean;
}

/** Header and payload in one piece, so that frames of several writers cannot mix. */
export function encodeFrame(streamId: number, type: number, payload: Uint8Array): Buffer {
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new RangeError(`a frame of ${payload.length} bytes is longer than ${MAX_PAYLOAD_BYTES}`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(streamId, 4);
  frame.writeUInt8(type, 8);
  frame.writeUInt8(0, 9);
  frame.set(payload, HEADER_BYTES);
  return frame;
}

/**
 * Cuts a byte stream into frames. Keeps at most one payload of the allowed length in memory,
 * whatever the other side announces and however small the pieces are that it comes in.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerLength = 0;
  /** Set once the header is whole; too long payloads are not kept. */
  #payload: Buffer | undefined;
  #payloadLength = 0;

  /** Takes the next bytes; yields the frames that they complete. */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#headerLength < HEADER_BYTES) {
        rest = this.#takeHeader(rest);
        if (this.#headerLength < HEADER_BYTES) return;
        if (this.#isTooLong()) yield this.#frame(Buffer.alloc(0));
      }
      const missing = this.#header.readUInt32BE(0) - this.#payloadLength;
      const piece = rest.subarray(0, missing);
      rest = rest.subarray(piece.length);
      const payload = this.#addPiece(piece);
      if (piece.length < missing) return;
      if (payload !== undefined) yield this.#frame(payload);
      this.#reset();
    }
  }

  #takeHeader(bytes: Buffer): Buffer {
    const length = bytes.copy(this.#header, this.#headerLength);
    this.#headerLength += length;
    return bytes.subarray(length);
  }

  /** The payload so far; a piece that is all of it is not copied. */
  #addPiece(piece: Buffer): Buffer | undefined {
    const wanted = this.#header.readUInt32BE(0);
    const position = this.#payloadLength;
    this.#payloadLength += piece.length;
    if (this.#isTooLong()) return undefined;
    if (piece.length === wanted) return piece;
    this.#payload ??= Buffer.allocUnsafe(wanted);
    piece.copy(this.#payload, position);
    return this.#payload;
  }

  #isTooLong(): boolean {
    return this.#header.readUInt32BE(0) > MAX_PAYLOAD_BYTES;
  }

  #frame(payload: Buffer): Frame {
    return {
      streamId: this.#header.readUInt32BE(4),
      type: this.#header.readUInt8(8),
      flags: this.#header.readUInt8(9),
      payload,
      isTooLong: this.#isTooLong(),
    };
  }

  #reset(): void {
    this.#headerLength = 0;
    this.#payloadLength = 0;
    this.#payload = undefined;
  }
}
