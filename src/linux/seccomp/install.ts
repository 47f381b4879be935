// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { loadKoffi } from "../koffi-loader.ts";
import { systemCall } from "../system-call.ts";
import { compileFilter, encodeFilter, type FilterPolicy } from "./filter.ts";
import { FILTERED_ARCHITECTURES } from "./numbers.ts";

const SYS_SECCOMP: Partial<Record<NodeJS.Architecture, number>> = { x64: 317, arm64: 277 };
const SECCOMP_SET_MODE_FILTER = 1;
const PR_SET_NO_NEW_PRIVS = 38;
/** For all threads at once. */
const TSYNC = 1;
const PROGRAM_BYTES = 16;

const seccomp = systemCall(
  "long syscall(long number, unsigned int operation, unsigned int flags, void *program)",
  "seccomp",
);

const prctl = systemCall(
  "int prctl(int option, unsigned long value, unsigned long, unsigned long, unsigned long)",
);

/**
 * Filters the system calls of this process from now on, in every thread, for good; it can gain no
 * privileges any more either. seccomp(2)
 * @throws SECCOMP_FAILED
 */
export function filterSystemCalls(policy: FilterPolicy): void {
  const architecture = FILTERED_ARCHITECTURES.find((name) => name === process.arch);
  const number = SYS_SECCOMP[process.arch];
  if (architecture === undefined || number === undefined) {
    throw failed(`there is no list of system calls for ${process.arch}`);
  }
  const instructions = encodeFilter(compileFilter(policy, architecture));
  // struct sock_fprog, with what it points to right behind it: one piece of memory that stays.
  const program = Buffer.concat([Buffer.alloc(PROGRAM_BYTES), instructions]);
  program.writeUInt16LE(instructions.length / 8, 0);
  program.writeBigUInt64LE(BigInt(loadKoffi().address(program)) + BigInt(PROGRAM_BYTES), 8);
  let thread: number;
  try {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    thread = seccomp(number, SECCOMP_SET_MODE_FILTER, TSYNC, program);
  } catch (cause) {
    throw failed(cause instanceof Error ? cause.message : String(cause));
  }
  // A thread that has a filter of its own already.
  if (thread !== 0) throw failed(`thread ${thread} could not follow`);
}

function failed(why: string): MukonError {
  return new MukonError("SECCOMP_FAILED", `system calls cannot be filtered: ${why}`, {
    hint: "it takes a kernel with CONFIG_SECCOMP_FILTER; nothing runs without the filter",
  });
}
