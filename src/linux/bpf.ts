// SPDX-License-Identifier: Apache-2.0
import { loadKoffi } from "./koffi-loader.ts";
import { SystemCallError, systemCall } from "./system-call.ts";

/** Number of bpf(2), which the C library has no function for. */
const NUMBERS: Partial<Record<NodeJS.Architecture, number>> = { x64: 321, arm64: 280 };
/** Longer than any part of `union bpf_attr` that is used here; the kernel wants zeros after that. */
const ATTRIBUTE_BYTES = 128;

// enum bpf_cmd of linux/bpf.h
const MAP_CREATE = 0;
const MAP_UPDATE = 2;
const PROGRAM_LOAD = 5;
const PROGRAM_ATTACH = 8;
const PROGRAM_QUERY = 16;
const LINK_CREATE = 28;

const syscall = systemCall(
  "long syscall(long number, int command, void *attribute, unsigned int size)",
  "bpf",
);

type Value = number | Buffer;

/** Values by their offsets in `union bpf_attr`: numbers of 32 bits, and addresses of buffers. */
function attributeOf(values: ReadonlyMap<number, Value>): Buffer {
  const attribute = Buffer.alloc(ATTRIBUTE_BYTES);
  for (const [offset, value] of values) {
    if (typeof value === "number") attribute.writeUInt32LE(value, offset);
    else attribute.writeBigUInt64LE(BigInt(loadKoffi().address(value)), offset);
  }
  return attribute;
}

function bpf(command: number, values: ReadonlyMap<number, Value>): number {
  return call(command, attributeOf(values));
}

/** The kernel may write its answer into `attribute`. */
function call(command: number, attribute: Buffer): number {
  const number = NUMBERS[process.arch];
  if (number === undefined) throw new Error(`bpf(2) is not known on ${process.arch}`);
  return syscall(number, command, attribute, attribute.length);
}

/** A map of sockets, `entries` long; its descriptor. */
export function createSocketMap(entries: number): number {
  const BPF_MAP_TYPE_SOCKMAP = 15;
  const KEY_BYTES = 4;
  const VALUE_BYTES = 8;
  return bpf(
    MAP_CREATE,
    new Map([
      [0, BPF_MAP_TYPE_SOCKMAP],
      [4, KEY_BYTES],
      [8, VALUE_BYTES],
      [12, entries],
    ]),
  );
}

export function putSocket(map: number, index: number, socket: number): void {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(index);
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(BigInt(socket));
  bpf(
    MAP_UPDATE,
    new Map<number, Value>([
      [0, map],
      [8, key],
      [16, value],
    ]),
  );
}

/** As many as libbpf makes: a signal of any kind interrupts the verifier, which says EAGAIN for it. */
const LOAD_ATTEMPTS = 5;

/** Has the kernel verify a program; its descriptor. */
export function loadProgram(
  program: Buffer,
  kind: { programType: number; attachType: number },
): number {
  const INSTRUCTION_BYTES = 8;
  const values = new Map<number, Value>([
    [0, kind.programType],
    [4, program.length / INSTRUCTION_BYTES],
    [8, program],
    [16, Buffer.from("Apache-2.0\0")],
    [68, kind.attachType],
  ]);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return bpf(PROGRAM_LOAD, values);
    } catch (error) {
      const isInterrupted = error instanceof SystemCallError && error.errorName === "EAGAIN";
      if (!isInterrupted || attempt === LOAD_ATTEMPTS) throw error;
    }
  }
}

/** Puts a program in force at `target`, as long as the descriptor that this returns is open. */
export function linkProgram(program: number, target: number, attachType: number): number {
  return bpf(
    LINK_CREATE,
    new Map([
      [0, program],
      [4, target],
      [8, attachType],
    ]),
  );
}

/** Beside what others have put in force there or above, none of which this can undo. */
const ALLOW_MULTIPLE = 2;

const REPLACE = 4;

/** Puts a program in force for a cgroup, for as long as the cgroup is there. */
export function attachProgram(program: number, cgroup: number, attachType: number): void {
  bpf(PROGRAM_ATTACH, attachment({ program, cgroup, attachType, flags: ALLOW_MULTIPLE }));
}

/** Puts a program in the place of one that {@link attachProgram} has put in force: at no time is neither. */
export function replaceProgram(replacement: {
  program: number;
  replaced: number;
  cgroup: number;
  attachType: number;
}): void {
  const flags = ALLOW_MULTIPLE | REPLACE;
  const values = attachment({ ...replacement, flags });
  bpf(PROGRAM_ATTACH, new Map([...values, [16, replacement.replaced]]));
}

function attachment(what: {
  program: number;
  cgroup: number;
  attachType: number;
  flags: number;
}): Map<number, Value> {
  return new Map<number, Value>([
    [0, what.cgroup],
    [4, what.program],
    [8, what.attachType],
    [12, what.flags],
  ]);
}

/** How many programs of a kind are in force for a cgroup itself, those of its parents apart. */
export function countPrograms(cgroup: number, attachType: number): number {
  const MOST = 64;
  const COUNT_AT = 24;
  const identifiers = Buffer.alloc(4 * MOST);
  const attribute = attributeOf(
    new Map<number, Value>([
      [0, cgroup],
      [4, attachType],
      [16, identifiers],
      [COUNT_AT, MOST],
    ]),
  );
  call(PROGRAM_QUERY, attribute);
  return attribute.readUInt32LE(COUNT_AT);
}
