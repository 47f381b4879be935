// SPDX-License-Identifier: Apache-2.0

// Everything that a terminal could take for a command: C0 but for tab and newline, DEL, C1, the
// marks that turn the direction of writing, and halves of surrogate pairs.
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it finds.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/u;
const UNPRINTABLE_ALL = new RegExp(UNPRINTABLE.source, "gu");

/** True when `text` can be shown on a terminal without changing what the terminal does. */
export function isPlainText(text: string): boolean {
  return !UNPRINTABLE.test(text);
}

/**
 * `text` without terminal controls and cut to its **last** `maxCharacters`, since what a failing
 * guest said last is what explains the failure. Carriage returns are dropped, the rest becomes "?".
 */
export function plainTail(text: string, maxCharacters: number): string {
  return text.slice(-maxCharacters).replaceAll("\r", "").replaceAll(UNPRINTABLE_ALL, "?");
}

/** `text` without terminal controls and cut to its **first** `maxCharacters`. */
export function plainHead(text: string, maxCharacters: number): string {
  return text.slice(0, maxCharacters).replaceAll("\r", "").replaceAll(UNPRINTABLE_ALL, "?");
}
