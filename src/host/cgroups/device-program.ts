// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync } from "node:fs";
import { attachProgram, loadProgram, replaceProgram } from "../../linux/bpf.ts";
import { assemble, CODES, end, instruction, type Line } from "../../linux/bpf-assembler.ts";
import type { NodeNumbers } from "../../linux/device-node.ts";

/** BPF_PROG_TYPE_CGROUP_DEVICE and BPF_CGROUP_DEVICE of linux/bpf.h. */
export const DEVICE_PROGRAM = { programType: 15, attachType: 6 };
/** Offsets in struct bpf_cgroup_dev_ctx. */
const CONTEXT = { access: 0, major: 4, minor: 8 };
/** The lower half of `access_type`: BPF_DEVCG_DEV_CHAR. */
const TYPE_MASK = 0xffff;
const CHARACTER = 2;

/** The program that lets these character devices be opened (and made), and refuses all others. */
export function deviceProgram(allowed: readonly NodeNumbers[]): Buffer {
  const load = (to: number, offset: number): Line =>
    instruction(CODES.load32, { to, from: 1, offset });
  return assemble([
    ...[load(2, CONTEXT.access), load(3, CONTEXT.major), load(4, CONTEXT.minor)],
    instruction(CODES.and, { to: 2, value: TYPE_MASK }),
    { jump: CODES.jumpUnequal, to: 2, value: CHARACTER, label: "refuse" },
    ...allowed.flatMap(({ major, minor }, index): Line[] => [
      { jump: CODES.jumpUnequal, to: 3, value: major, label: `after ${index}` },
      { jump: CODES.jumpEqual, to: 4, value: minor, label: "allow" },
      `after ${index}`,
    ]),
    "refuse",
    ...end(0),
    "allow",
    ...end(1),
  ]);
}

/** Puts that program in force for a cgroup of version 2, in place of an earlier one; its descriptor. */
export function enforceDeviceProgram(
  directory: string,
  { allowed, earlier }: { allowed: readonly NodeNumbers[]; earlier: number | undefined },
): number {
  const cgroup = openSync(directory, "r");
  try {
    const program = loadProgram(deviceProgram(allowed), DEVICE_PROGRAM);
    const { attachType } = DEVICE_PROGRAM;
    if (earlier === undefined) attachProgram(program, cgroup, attachType);
    else replaceProgram({ program, replaced: earlier, cgroup, attachType });
    if (earlier !== undefined) closeSync(earlier);
    return program;
  } finally {
    closeSync(cgroup);
  }
}
