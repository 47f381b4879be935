// SPDX-License-Identifier: Apache-2.0

/** Plain data; 64-bit numbers as bigint, since limits such as 2^64-1 must stay exact. */
export type Json =
  | string
  | number
  | bigint
  | boolean
  | undefined
  | readonly Json[]
  | { readonly [name: string]: Json };

/** Like `JSON.stringify`, but writes bigints as numbers. Members that are `undefined` are left out. */
export function stringify(value: Json): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((item) => stringify(item)).join(",")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${stringify(member)}`);
  return `{${members.join(",")}}`;
}

/** `undefined`, so that the member is left out, when the list is empty. */
export function unlessEmpty<Item extends Json>(list: readonly Item[]): readonly Item[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** `undefined` for what proto3 says when nothing was said. */
export function unlessZero<Value extends string | number | bigint>(
  value: Value,
): Value | undefined {
  return value === "" || value === 0 || value === 0n ? undefined : value;
}
