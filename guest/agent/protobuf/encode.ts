// SPDX-License-Identifier: Apache-2.0
import { isPackable } from "./decode.ts";
import type { Field, Infer, Partially, Schema } from "./field.ts";

/** Encoded bytes in pieces: large `bytes` values are joined once, when the frame is made. */
export interface Encoded {
  readonly chunks: Buffer[];
  length: number;
}

export function encode<S extends Schema>(schema: S, value: Partially<Infer<S>>): Encoded {
  return encodeMessage(schema, value as Record<string, unknown>);
}

export function toBuffer(encoded: Encoded): Buffer {
  return Buffer.concat(encoded.chunks, encoded.length);
}

/** One length-delimited field; nothing at all when its content is empty. */
export function delimited(number: number, content: Encoded): Encoded {
  const output: Encoded = { chunks: [], length: 0 };
  if (content.length > 0) append(output, number, content);
  return output;
}

function encodeMessage(schema: Schema, value: Record<string, unknown>): Encoded {
  const output: Encoded = { chunks: [], length: 0 };
  for (const [name, field] of Object.entries(schema)) {
    const item = value[name];
    if (item === undefined) continue;
    if (field.kind === "map") writeMap(output, field, item as Map<string, unknown>);
    else if (field.isRepeated) writeList(output, field, item as unknown[]);
    else if (!isDefault(item)) writeOne(output, field, item);
  }
  return output;
}

function isDefault(item: unknown): boolean {
  if (Buffer.isBuffer(item)) return item.length === 0;
  return item === "" || item === 0 || item === 0n || item === false;
}

function writeList(output: Encoded, field: Field<unknown>, items: readonly unknown[]): void {
  if (!isPackable(field)) {
    for (const item of items) writeOne(output, field, item);
    return;
  }
  if (items.length === 0) return;
  const packed: Encoded = { chunks: [], length: 0 };
  for (const item of items) push(packed, varintOf(item));
  append(output, field.number, packed);
}

function writeMap(output: Encoded, field: Field<unknown>, items: Map<string, unknown>): void {
  const value = field.mapValue;
  if (value === undefined) return;
  for (const [key, item] of items) {
    const entry: Encoded = { chunks: [], length: 0 };
    append(entry, 1, single(Buffer.from(key)));
    writeOne(entry, value, item);
    append(output, field.number, entry);
  }
}

function writeOne(output: Encoded, field: Field<unknown>, item: unknown): void {
  if (field.kind === "message") {
    append(
      output,
      field.number,
      encodeMessage(field.schema ?? {}, item as Record<string, unknown>),
    );
  } else if (field.kind === "string") {
    append(output, field.number, single(Buffer.from(item as string)));
  } else if (field.kind === "bytes") {
    append(output, field.number, single(item as Buffer));
  } else {
    push(output, varint((field.number << 3) >>> 0));
    push(output, varintOf(item));
  }
}

function varintOf(item: unknown): Buffer {
  if (typeof item === "boolean") return varint(item ? 1 : 0);
  if (typeof item === "bigint") return bigVarint(BigInt.asUintN(64, item));
  const value = item as number;
  return value < 0 ? bigVarint(BigInt.asUintN(64, BigInt(value))) : varint(value);
}

/** For whole numbers from 0 to 2^53. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function bigVarint(value: bigint): Buffer {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return varint(Number(value));
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function single(bytes: Buffer): Encoded {
  return { chunks: [bytes], length: bytes.length };
}

function push(output: Encoded, bytes: Buffer): void {
  output.chunks.push(bytes);
  output.length += bytes.length;
}

/** Writes a length-delimited field. */
function append(output: Encoded, number: number, content: Encoded): void {
  push(output, varint(((number << 3) | 2) >>> 0));
  push(output, varint(content.length));
  for (const chunk of content.chunks) output.chunks.push(chunk);
  output.length += content.length;
}
