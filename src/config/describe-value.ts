// SPDX-License-Identifier: Apache-2.0

const MAX_SHOWN_LENGTH = 120;

/** A value as it may stand in a message: one line, not too long, with its type when not plain. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return `the text ${printable(JSON.stringify(value))}`;
  if (Array.isArray(value)) {
    const exact = (_: string, item: unknown) => (typeof item === "bigint" ? `${item}` : item);
    return `the list ${printable(JSON.stringify(value, exact))}`;
  }
  if (typeof value === "object" && value !== null) return "a table or date";
  return String(value);
}

/** Text without control characters, cut when long: fit for a log and a terminal. */
export function printable(text: string): string {
  const plain = text.replace(/[^\x20-\x7e]/g, "?");
  return plain.length <= MAX_SHOWN_LENGTH ? plain : `${plain.slice(0, MAX_SHOWN_LENGTH)}…`;
}
