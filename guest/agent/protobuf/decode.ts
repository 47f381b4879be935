// SPDX-License-Identifier: Apache-2.0
import type { Field, Infer, Schema } from "./field.ts";
import { malformed, Reader } from "./reader.ts";

/** Far above what a pod needs, low enough that a message cannot fill the guest's memory. */
const MAX_ELEMENTS = 200_000;

const VARINT = 0;
const DELIMITED = 2;

type Target = Record<string, unknown>;

/** Decodes one message; unknown fields are skipped. */
export function decode<S extends Schema>(schema: S, bytes: Buffer): Infer<S> {
  const budget = { elements: MAX_ELEMENTS };
  return decodeMessage(schema, bytes, budget) as Infer<S>;
}

interface Budget {
  elements: number;
}

function decodeMessage(schema: Schema, bytes: Buffer, budget: Budget): Target {
  const { defaults, byNumber } = layoutOf(schema);
  const target = defaults();
  const reader = new Reader(bytes);
  const source = { reader, budget };
  while (!reader.isAtEnd) {
    const tag = reader.varint32();
    const entry = byNumber.get(tag >>> 3);
    budget.elements -= 1;
    if (budget.elements < 0) throw malformed(`more than ${MAX_ELEMENTS} fields`);
    if (entry === undefined) reader.skip(tag & 7);
    else readField({ ...entry, wireType: tag & 7, source, target });
  }
  return target;
}

interface Entry {
  readonly name: string;
  readonly field: Field<unknown>;
}

interface Step extends Entry {
  readonly wireType: number;
  readonly source: Source;
  readonly target: Target;
}

function readField({ name, field, wireType, source, target }: Step): void {
  const { reader, budget } = source;
  if (field.kind === "map") {
    readMapEntry(field, source, target[name] as Map<string, unknown>);
    return;
  }
  if (!field.isRepeated) {
    target[name] = readValue(field, wireType, source);
    return;
  }
  const list = target[name] as unknown[];
  if (wireType === DELIMITED && isPackable(field)) {
    const packed = new Reader(reader.delimited());
    while (!packed.isAtEnd) {
      budget.elements -= 1;
      if (budget.elements < 0) throw malformed(`more than ${MAX_ELEMENTS} fields`);
      list.push(readValue(field, VARINT, { reader: packed, budget }));
    }
  } else {
    list.push(readValue(field, wireType, source));
  }
}

function readMapEntry(
  field: Field<unknown>,
  { reader, budget }: Source,
  map: Map<string, unknown>,
): void {
  const value = field.mapValue;
  if (value === undefined) throw malformed("a map has no value type");
  const entrySchema = { key: KEY, value };
  const entry = decodeMessage(entrySchema, reader.delimited(), budget);
  const missing = value.kind === "message" ? decodeMessage(value.schema ?? {}, EMPTY, budget) : "";
  map.set(entry.key as string, entry.value ?? missing);
}

const KEY: Field<unknown> = { number: 1, kind: "string", isRepeated: false };
const EMPTY = Buffer.alloc(0);

interface Source {
  readonly reader: Reader;
  readonly budget: Budget;
}

function readValue(field: Field<unknown>, wireType: number, { reader, budget }: Source): unknown {
  const expected = isPackable(field) ? VARINT : DELIMITED;
  if (wireType !== expected) {
    throw malformed(`field ${field.number} has wire type ${wireType}, not ${expected}`);
  }
  switch (field.kind) {
    case "string":
      return reader.delimited().toString("utf8");
    case "bytes":
      return reader.delimited();
    case "bool":
      return reader.varint64() !== 0n;
    case "int32":
      return reader.varint32() | 0;
    case "uint32":
      return reader.varint32();
    case "int64":
      return BigInt.asIntN(64, reader.varint64());
    case "uint64":
      return reader.varint64();
    default:
      return decodeMessage(field.schema ?? {}, reader.delimited(), budget);
  }
}

export function isPackable(field: Field<unknown>): boolean {
  return !["string", "bytes", "message", "map"].includes(field.kind);
}

interface Layout {
  readonly byNumber: ReadonlyMap<number, Entry>;
  readonly defaults: () => Target;
}

const layouts = new WeakMap<Schema, Layout>();

function layoutOf(schema: Schema): Layout {
  const known = layouts.get(schema);
  if (known !== undefined) return known;
  const entries = Object.entries(schema).map(([name, field]) => ({ name, field }));
  const layout = {
    byNumber: new Map(entries.map((entry) => [entry.field.number, entry])),
    defaults: () => Object.fromEntries(entries.map(({ name, field }) => [name, initial(field)])),
  };
  layouts.set(schema, layout);
  return layout;
}

function initial(field: Field<unknown>): unknown {
  if (field.isRepeated) return [];
  switch (field.kind) {
    case "string":
      return "";
    case "bytes":
      return EMPTY;
    case "bool":
      return false;
    case "int32":
    case "uint32":
      return 0;
    case "int64":
    case "uint64":
      return 0n;
    case "map":
      return new Map();
    default:
      return undefined;
  }
}
