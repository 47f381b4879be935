// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { KEEPER_POLICY } from "../../../src/keeper/confinement/policy.ts";
import { ACTIONS, BPF, compileFilter, encodeFilter } from "../../../src/linux/seccomp/filter.ts";
import {
  FILTERED_ARCHITECTURES,
  type FilteredArchitecture,
  type SystemCallName,
  systemCallNumber,
} from "../../../src/linux/seccomp/numbers.ts";

interface Call {
  number: number;
  architecture: number;
  args?: readonly bigint[];
}

/** What the kernel does with the bytes of a filter: seccomp(2), struct seccomp_data. */
function runFilter(program: Buffer, { number, architecture, args = [] }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, index) => {
    data.writeBigUInt64LE(value, 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; ; at += 1) {
    const code = program.readUInt16LE(at * 8);
    const [jumpTrue, jumpFalse] = [program[at * 8 + 2] ?? 0, program[at * 8 + 3] ?? 0];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === BPF.end) return value;
    if (code === BPF.load) accumulator = data.readUInt32LE(value);
    else if (code === BPF.and) accumulator = (accumulator & value) >>> 0;
    else if (code === BPF.jumpEqual) at += accumulator === value ? jumpTrue : jumpFalse;
    else if (code === BPF.jumpAtLeast) at += accumulator >= value ? jumpTrue : jumpFalse;
    else throw new Error(`the filter has an instruction ${code}`);
  }
}

const AUDIT = { x64: 0xc000_003e, arm64: 0xc000_00b7 };

for (const architecture of FILTERED_ARCHITECTURES) {
  const program = encodeFilter(compileFilter(KEEPER_POLICY, architecture));
  const call = (name: SystemCallName, ...args: bigint[]): number =>
    answer(program, { name, architecture, args });

  test(`on ${architecture}, a keeper may do what it is for, and nothing else`, () => {
    for (const name of ["read", "write", "futex", "recvmsg", "epoll_pwait"] as const) {
      assert.equal(call(name), ACTIONS.allow, name);
    }
    for (const name of ["execve", "ptrace", "bpf", "unshare", "mount", "setresuid"] as const) {
      assert.equal(call(name), ACTIONS.killProcess, name);
    }
    assert.equal(call("clone3"), ACTIONS.notImplemented);
    const run = (number: number, of: number): number =>
      runFilter(program, { number, architecture: of });
    // socket, connect and io_uring_setup are not even in the list.
    for (const number of architecture === "x64" ? [41, 42, 425] : [198, 203, 425]) {
      assert.equal(run(number, AUDIT[architecture]), ACTIONS.permissionDenied);
    }
    for (const number of [0, 1, 59, 0x4000_0000, 0xffff_ffff]) {
      assert.equal(run(number, 0x4000_0003), ACTIONS.killProcess, "32-bit calls");
    }
    assert.equal(run(0x4000_0000, AUDIT[architecture]), ACTIONS.killProcess, "x32 calls");
  });

  test(`on ${architecture}, arguments are looked at, all 64 bits of them`, () => {
    const THREAD = 0x3d0f00n;
    assert.equal(call("clone", THREAD), ACTIONS.allow);
    assert.equal(call("clone", 17n), ACTIONS.permissionDenied, "fork");
    for (const namespace of [0x2_0000n, 0x0200_0000n, 0x1000_0000n, 0x2000_0000n, 0x4000_0000n]) {
      assert.equal(call("clone", THREAD | namespace), ACTIONS.permissionDenied);
    }
    assert.equal(call("openat", 0n, 0n, 0o2000000n), ACTIONS.allow);
    for (const flags of [1n, 2n, 0o100n, 0o1000n, 0o20200002n]) {
      assert.equal(call("openat", 0n, 0n, flags), ACTIONS.permissionDenied, String(flags));
    }
    assert.equal(call("ioctl", 0n, 0x5421n), ACTIONS.allow);
    assert.equal(call("ioctl", 0n, 0x5412n), ACTIONS.permissionDenied, "TIOCSTI");
    assert.equal(call("ioctl", 0n, 0x1_0000_5421n), ACTIONS.permissionDenied);
    assert.equal(call("prctl", 15n), ACTIONS.allow);
    assert.equal(call("prctl", 22n), ACTIONS.permissionDenied);
    assert.equal(call("prlimit64", 0n, 7n, 0n), ACTIONS.allow);
    assert.equal(call("prlimit64", 0n, 7n, 0x7fff_0000_0000n), ACTIONS.permissionDenied);
  });
}

test("a filter is one that the kernel takes", () => {
  for (const architecture of FILTERED_ARCHITECTURES) {
    const program = compileFilter(KEEPER_POLICY, architecture);
    assert.ok(program.length < 4096);
    program.slice(0, -1).forEach(({ jumpTrue, jumpFalse }, index) => {
      assert.ok(Math.max(jumpTrue, jumpFalse) < 256);
      assert.ok(index + 1 + Math.max(jumpTrue, jumpFalse) < program.length);
    });
    assert.equal(program.at(-1)?.value, ACTIONS.permissionDenied);
  }
});

function answer(
  program: Buffer,
  call: { name: SystemCallName; architecture: FilteredArchitecture; args: bigint[] },
): number {
  const number = systemCallNumber(call.name, call.architecture);
  assert.ok(number !== undefined);
  return runFilter(program, { number, architecture: AUDIT[call.architecture], args: call.args });
}
