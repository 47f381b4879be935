// SPDX-License-Identifier: Apache-2.0

/** With a sign or not, so many characters are always exact. */
const MAX_SAFE_LENGTH = 15;
const MAX_DEPTH = 32;

/**
 * `JSON.parse` that keeps 64-bit integers: those with more than 15 characters come as decimal text,
 * since a limit such as 18446744073709551615 is no exact JavaScript number. The result can be
 * written as JSON and read again without loss.
 *
 * @throws SyntaxError
 */
export function parseJsonExactly(json: string): unknown {
  return JSON.parse(quoteLongIntegers(json));
}

function quoteLongIntegers(json: string): string {
  const pieces: string[] = [];
  let copied = 0;
  let position = 0;
  while (position < json.length) {
    const char = json[position] ?? "";
    if (char === '"') position = endOfString(json, position);
    else if (char === "-" || isDigit(char)) {
      const end = endOfNumber(json, position);
      const number = json.slice(position, end);
      if (number.length > MAX_SAFE_LENGTH && /^-?[0-9]+$/.test(number)) {
        pieces.push(json.slice(copied, position), '"', number, '"');
        copied = end;
      }
      position = end;
    } else position++;
  }
  pieces.push(json.slice(copied));
  return pieces.join("");
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

/** Position after the closing quote, or the end where there is none. */
function endOfString(json: string, start: number): number {
  let position = start + 1;
  while (position < json.length && json[position] !== '"') {
    position += json[position] === "\\" ? 2 : 1;
  }
  return position + 1;
}

function endOfNumber(json: string, start: number): number {
  let position = start + 1;
  while (position < json.length && "0123456789.eE+-".includes(json[position] ?? " ")) position++;
  return position;
}

/**
 * Go writes empty lists and maps as null: leave such members out.
 *
 * @throws SyntaxError when the value is nested deeper than any OCI document
 */
export function withoutNulls(value: unknown, depth = 0): unknown {
  if (depth > MAX_DEPTH) throw new SyntaxError("nested too deeply");
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutNulls(member, depth + 1)]));
}
