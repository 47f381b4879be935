// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";

/** Longest argument or environment variable that Linux takes (MAX_ARG_STRLEN). */
const MAX_TEXT_LENGTH = 131_072;
const MAX_LIST_LENGTH = 65_536;
const UINT32_MAX = 0xffff_ffff;

/** Text without NUL, which no system call could take. */
export const text = v.pipe(
  v.string(),
  v.maxLength(MAX_TEXT_LENGTH),
  v.check((value) => !value.includes("\0"), "must not contain NUL"),
);

export const texts = v.pipe(v.array(text), v.maxLength(MAX_LIST_LENGTH));

export const textMap = v.pipe(
  v.record(v.pipe(text, v.nonEmpty()), text),
  v.check((map) => Object.keys(map).length <= MAX_LIST_LENGTH, "has too many members"),
);

export const uint32 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(UINT32_MAX));

/** A 64-bit integer: a number where exact, else decimal text. */
export type Integer64 = number | string;

const decimalText = v.pipe(v.string(), v.regex(/^-?[0-9]{1,20}$/));
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
const UINT64_MAX = 2n ** 64n - 1n;

export const int64 = integer64("signed", INT64_MIN, INT64_MAX);
export const uint64 = integer64("unsigned", 0n, UINT64_MAX);

function integer64(name: string, min: bigint, max: bigint): v.GenericSchema<Integer64, Integer64> {
  return v.pipe(
    v.union([v.pipe(v.number(), v.safeInteger()), decimalText]),
    v.check((value) => {
      const exact = BigInt(value);
      return exact >= min && exact <= max;
    }, `must be ${name} and of 64 bits`),
  );
}

export function list<const Item extends v.GenericSchema>(item: Item) {
  return v.pipe(v.array(item), v.maxLength(MAX_LIST_LENGTH));
}
