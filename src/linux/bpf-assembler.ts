// SPDX-License-Identifier: Apache-2.0

/** What an instruction works on: numbers of registers, a distance, a value that is part of it. */
export interface Operands {
  to?: number;
  from?: number;
  offset?: number;
  value?: number;
}

/** One instruction; the codes are those of the kernel's "BPF instruction set". */
export function instruction(
  code: number,
  { to = 0, from = 0, offset = 0, value = 0 }: Operands,
): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(to | (from << 4), 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(value | 0, 4);
  return bytes;
}

/** A line of a program: an instruction, a jump to a label, or (a text alone) the label itself. */
export type Line = string | Buffer | { jump: number; to?: number; value?: number; label: string };

/** Codes of the instructions that are used here. */
export const CODES = {
  load8: 0x71,
  load32: 0x61,
  store32: 0x63,
  move: 0xbf,
  set: 0xb7,
  add: 0x07,
  and: 0x57,
  call: 0x85,
  exit: 0x95,
  jump: 0x05,
  // Those that compare 32 bits: the others take a value as signed, and never find a great one equal.
  jumpEqual: 0x16,
  jumpUnequal: 0x56,
  jumpAtLeast: 0x36,
} as const;

/** Ends the program with this result. */
export function end(result: number): Line[] {
  return [instruction(CODES.set, { to: 0, value: result }), instruction(CODES.exit, {})];
}

/** The program's bytes, with each label's distance filled in; jumps go forward only. */
export function assemble(lines: readonly Line[]): Buffer {
  const places = new Map<string, number>();
  let count = 0;
  for (const line of lines) {
    if (typeof line === "string") places.set(line, count);
    else count += 1;
  }
  const code: Buffer[] = [];
  for (const line of lines) {
    if (typeof line === "string") continue;
    code.push(Buffer.isBuffer(line) ? line : jumpTo(line, places.get(line.label), code.length));
  }
  return Buffer.concat(code);
}

function jumpTo(
  { jump, to = 0, value = 0, label }: Exclude<Line, string | Buffer>,
  place: number | undefined,
  here: number,
): Buffer {
  if (place === undefined || place <= here) throw new Error(`no label ${label} lies ahead`);
  return instruction(jump, { to, value, offset: place - here - 1 });
}
