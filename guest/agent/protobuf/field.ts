// SPDX-License-Identifier: Apache-2.0

export type ScalarKind = "string" | "bytes" | "bool" | "int32" | "uint32" | "int64" | "uint64";

/** One field of a message; `Value` is the type that a decoded message holds. */
export interface Field<Value> {
  readonly number: number;
  readonly kind: ScalarKind | "message" | "map";
  readonly isRepeated: boolean;
  /** Schema of a message field, or of a map's values when they are messages. */
  readonly schema?: Schema;
  /** Field 2 of a map's entries. */
  readonly mapValue?: Field<unknown>;
  /** Never present: carries the type. */
  readonly phantom?: Value;
}

/**
 * A message type as a table. A generic decoder walks it, so that the agent needs no generated
 * code: generated runtimes cost a second of start-up in an emulated guest.
 */
export interface Schema {
  readonly [name: string]: Field<unknown>;
}

/** The decoded form: proto3 defaults for absent scalars, `undefined` for absent messages. */
export type Infer<S extends Schema> = {
  -readonly [Name in keyof S]: S[Name] extends Field<infer Value> ? Value : never;
};

/** What may be given to the encoder: everything may be left out. */
export type Partially<Value> = Value extends Buffer | bigint | string | number | boolean | undefined
  ? Value
  : Value extends Map<string, infer Item>
    ? Map<string, Partially<Item>>
    : Value extends (infer Item)[]
      ? Partially<Item>[]
      : { [Name in keyof Value]?: Partially<Value[Name]> };

function scalar<Value>(number: number, kind: ScalarKind): Field<Value> {
  return { number, kind, isRepeated: false };
}

export const string = (number: number): Field<string> => scalar(number, "string");
export const bytes = (number: number): Field<Buffer> => scalar(number, "bytes");
export const bool = (number: number): Field<boolean> => scalar(number, "bool");
/** Also for enumerations. */
export const int32 = (number: number): Field<number> => scalar(number, "int32");
export const uint32 = (number: number): Field<number> => scalar(number, "uint32");
export const int64 = (number: number): Field<bigint> => scalar(number, "int64");
export const uint64 = (number: number): Field<bigint> => scalar(number, "uint64");

export function message<S extends Schema>(number: number, schema: S): Field<Infer<S> | undefined> {
  return { number, kind: "message", isRepeated: false, schema };
}

export function repeated<Value>(field: Field<Value>): Field<NonNullable<Value>[]> {
  const { number, kind, schema } = field;
  return { number, kind, isRepeated: true, ...(schema === undefined ? {} : { schema }) };
}

/** A map with string keys; `value` describes field 2 of its entries. */
export function map<Value>(
  number: number,
  value: Field<Value>,
): Field<Map<string, NonNullable<Value>>> {
  return { number, kind: "map", isRepeated: false, mapValue: value };
}
