// SPDX-License-Identifier: Apache-2.0
import { AgentError, Status } from "../errors.ts";

const MAX_VARINT_BYTES = 10;

/** Reads protobuf's wire format; throws an {@link AgentError} on bytes that are none. */
export class Reader {
  readonly #bytes: Buffer;
  #offset: number;
  readonly #end: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#offset = 0;
    this.#end = bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** A varint of up to 32 bits; higher bits are cut off as protobuf says. */
  varint32(): number {
    let value = 0;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#byte();
      if (index < 5) value |= (byte & 0x7f) << (7 * index);
      if (byte < 0x80) return value >>> 0;
    }
    throw malformed("a varint has more than 10 bytes");
  }

  varint64(): bigint {
    let low = 0;
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const byte = this.#byte();
      if (index < 4) low |= (byte & 0x7f) << (7 * index);
      else value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return BigInt.asUintN(64, value | BigInt(low));
    }
    throw malformed("a varint has more than 10 bytes");
  }

  /** A part of the input, not a copy. */
  delimited(): Buffer {
    const length = this.varint32();
    if (length > this.#end - this.#offset) throw malformed("a field reaches beyond its message");
    const start = this.#offset;
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  skip(wireType: number): void {
    if (wireType === 0) this.varint64();
    else if (wireType === 1) this.#advance(8);
    else if (wireType === 2) this.delimited();
    else if (wireType === 5) this.#advance(4);
    else throw malformed(`wire type ${wireType} is unknown`);
  }

  #advance(length: number): void {
    if (length > this.#end - this.#offset) throw malformed("a field reaches beyond its message");
    this.#offset += length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw malformed("a varint reaches beyond its message");
    this.#offset += 1;
    return byte;
  }
}

export function malformed(reason: string): AgentError {
  return new AgentError(Status.invalidArgument, `malformed message: ${reason}`);
}
