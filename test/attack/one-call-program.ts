// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { SystemCallError } from "../../src/linux/system-call.ts";
import { areCallsDiverted, type CallName, call, SYS, type Value } from "./system.ts";

const LOAD_ADDRESS = 0x40_0000;
const HEADERS_BYTES = 64 + 56;
const EXIT_GROUP = 231;
/** mov, with 64 bits, to the register of each argument: rdi, rsi, rdx, r10, r8, r9. */
const ARGUMENT_MOVES = [0x48bf, 0x48be, 0x48ba, 0x49ba, 0x49b8, 0x49b9];
const MOVE_BYTES = 10;

/**
 * Makes a call with one argument in a process that has one thread, which this one has not: some calls
 * demand it.
 * @throws SystemCallError as the call failed in there
 */
export function callAlone(name: CallName, argument: number): void {
  if (areCallsDiverted()) call(name, argument);
  else callApart(name, [argument]);
}

/**
 * Makes a call in a process of its own. The attacker writes the program itself, of which no jail can
 * have a copy.
 * @throws SystemCallError as the call failed in there; an error whose code is the signal that ended it
 */
export function callApart(name: CallName, values: readonly Value[]): number {
  const descriptor = call("memfd_create", "attack", 0);
  try {
    writeSync(descriptor, program(SYS[name], values));
    const { status, signal, error } = spawnSync(`/proc/self/fd/${descriptor}`, [], {
      stdio: "ignore",
    });
    if (error !== undefined) throw error;
    if (signal !== null) throw Object.assign(new Error(), { code: signal });
    if (status !== 0) throw new SystemCallError(name, status ?? 0);
    return 0;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The smallest ELF file of x86-64 that ends with the call's error as its exit code. Text and memory lie
 * behind its code; what they point to themselves is not there.
 */
function program(number: number, values: readonly Value[]): Buffer {
  const tail = Buffer.concat([
    ...[Buffer.from([0xb8]), word(number)],
    // syscall; neg eax; mov edi, eax
    Buffer.from([0x0f, 0x05, 0xf7, 0xd8, 0x89, 0xc7]),
    ...[Buffer.from([0xb8]), word(EXIT_GROUP), Buffer.from([0x0f, 0x05])],
  ]);
  let end = LOAD_ADDRESS + HEADERS_BYTES + values.length * MOVE_BYTES + tail.length;
  const memory: Buffer[] = [];
  const moves = values.map((value, index) => {
    const move = Buffer.alloc(MOVE_BYTES);
    move.writeUInt16BE(ARGUMENT_MOVES[index] ?? 0);
    if (typeof value === "string" || Buffer.isBuffer(value)) {
      const bytes = typeof value === "string" ? Buffer.from(`${value}\0`) : value;
      move.writeBigInt64LE(BigInt(end), 2);
      memory.push(bytes);
      end += bytes.length;
    } else {
      move.writeBigInt64LE(BigInt(value ?? 0), 2);
    }
    return move;
  });
  return elfFile(Buffer.concat([...moves, tail, ...memory]));
}

function elfFile(code: Buffer): Buffer {
  const file = Buffer.alloc(HEADERS_BYTES + code.length);
  // e_ident: 64 bits, little endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0);
  file.writeUInt16LE(2, 16); // e_type: executable
  file.writeUInt16LE(62, 18); // e_machine: x86-64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS + HEADERS_BYTES), 24); // e_entry
  file.writeBigUInt64LE(64n, 32); // e_phoff
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56); // e_phnum
  file.writeUInt32LE(1, 64); // p_type: load
  file.writeUInt32LE(7, 68); // p_flags: read, write, execute
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 80);
  file.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(4096n, 112);
  code.copy(file, HEADERS_BYTES);
  return file;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
