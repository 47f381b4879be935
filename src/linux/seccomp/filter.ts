// SPDX-License-Identifier: Apache-2.0
import { type FilteredArchitecture, type SystemCallName, systemCallNumber } from "./numbers.ts";

/** What an argument of a system call must be; only its lower 32 bits may be used at all. */
export interface ArgumentCheck {
  index: number;
  /** These bits of it alone are compared. Default: all. */
  mask?: number;
  oneOf: readonly number[];
}

/** A policy; what it does not name fails with EPERM, unless it says otherwise. */
export interface FilterPolicy {
  allowed: readonly SystemCallName[];
  /** Allowed with these arguments, all of them; EPERM otherwise. */
  checked: Partial<Record<SystemCallName, ArgumentCheck | readonly ArgumentCheck[]>>;
  /** Fail with ENOSYS: the C library then uses an older call, whose arguments can be looked at. */
  unknown: readonly SystemCallName[];
  /** Succeed and do nothing: for what a program insists on doing to itself, and what has been done to it. */
  skipped?: readonly SystemCallName[];
  /** End the whole process: no program of good will makes them. */
  deadly: readonly SystemCallName[];
  /** What becomes of calls that it does not name. Default: "refused". */
  otherwise?: "refused" | "allowed";
}

/** One instruction of a classic BPF program: struct sock_filter, bpf(2). */
export interface Instruction {
  code: number;
  /** Instructions to jump over when true, and when false. */
  jumpTrue: number;
  jumpFalse: number;
  value: number;
}

export const BPF = {
  load: 0x20,
  jumpEqual: 0x15,
  jumpAtLeast: 0x35,
  and: 0x54,
  end: 0x06,
} as const;
export const ACTIONS = {
  allow: 0x7fff_0000,
  killProcess: 0x8000_0000,
  success: 0x0005_0000,
  permissionDenied: 0x0005_0001,
  notImplemented: 0x0005_0026,
} as const;
/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENTS = 16;
const AUDIT_ARCHITECTURES = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
/** Numbers from here on are those of the x32 ABI, by which every call has a second one. */
const X32 = 0x4000_0000;

type Checks = ArgumentCheck | ArgumentCheck[];

/** The filter's program: one comparison after the other, and each that hits returns. seccomp(2) */
export function compileFilter(
  policy: FilterPolicy,
  architecture: FilteredArchitecture,
): Instruction[] {
  const numbers = (names: readonly SystemCallName[]): number[] =>
    names
      .map((name) => systemCallNumber(name, architecture))
      .filter((number) => number !== undefined);
  const all = (names: readonly SystemCallName[], action: number): Instruction[] =>
    numbers(names).flatMap((number) => [equals(number, 0, 1), end(action)]);
  const checked = Object.entries(policy.checked) as [SystemCallName, Checks][];
  return [
    ...[load(ARCHITECTURE), equals(AUDIT_ARCHITECTURES[architecture], 1, 0)],
    ...[end(ACTIONS.killProcess), load(NUMBER)],
    ...[instruction(BPF.jumpAtLeast, X32, [0, 1]), end(ACTIONS.killProcess)],
    ...all(policy.allowed, ACTIONS.allow),
    ...checked.flatMap(([name, check]) =>
      numbers([name]).flatMap((number) => checkArguments(number, [check].flat())),
    ),
    ...all(policy.skipped ?? [], ACTIONS.success),
    ...all(policy.unknown, ACTIONS.notImplemented),
    ...all(policy.deadly, ACTIONS.killProcess),
    end(policy.otherwise === "allowed" ? ACTIONS.allow : ACTIONS.permissionDenied),
  ];
}

/** The program as an array of struct sock_filter. */
export function encodeFilter(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jumpTrue, jumpFalse, value }, index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jumpTrue, index * 8 + 2);
    bytes.writeUInt8(jumpFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}

/** The action comes after the last of the checks; each that fails returns before. */
function checkArguments(number: number, checks: readonly ArgumentCheck[]): Instruction[] {
  const body = [...checks.flatMap(checkArgument), end(ACTIONS.allow)];
  return [equals(number, 0, body.length), ...body];
}

function checkArgument({ index, mask, oneOf }: ArgumentCheck): Instruction[] {
  const at = ARGUMENTS + 8 * index;
  return [
    ...[load(at + 4), equals(0, 1, 0), end(ACTIONS.permissionDenied), load(at)],
    ...(mask === undefined ? [] : [instruction(BPF.and, mask)]),
    // To behind the refusal, which is one further than the comparisons that are left.
    ...oneOf.map((value, place) => equals(value, oneOf.length - place, 0)),
    end(ACTIONS.permissionDenied),
  ];
}

function load(offset: number): Instruction {
  return instruction(BPF.load, offset);
}

function equals(value: number, jumpTrue: number, jumpFalse: number): Instruction {
  return instruction(BPF.jumpEqual, value, [jumpTrue, jumpFalse]);
}

function end(action: number): Instruction {
  return instruction(BPF.end, action);
}

function instruction(code: number, value: number, [jumpTrue, jumpFalse] = [0, 0]): Instruction {
  return { code, jumpTrue, jumpFalse, value: value >>> 0 };
}
