// SPDX-License-Identifier: Apache-2.0
import { getSystemErrorName } from "node:util";
import { hintOfExhaustion, MukonError } from "../errors/mukon-error.ts";
import { type LibraryFunction, lastErrno, libcFunction } from "./koffi-loader.ts";

/** A failed system call, with what Node's own errors of that kind carry. */
export class SystemCallError extends MukonError {
  readonly errno: number;
  /** Such as "EAGAIN". */
  readonly errorName: string;

  constructor(call: string, errno: number) {
    const errorName = errno > 0 ? getSystemErrorName(-errno) : "unknown error";
    const hint = hintOfExhaustion(errorName);
    super("SYSTEM_CALL_FAILED", `${call} failed: ${errorName}`, {
      details: { call, errno },
      ...(hint === undefined ? {} : { hint }),
    });
    this.errno = errno;
    this.errorName = errorName;
  }
}

type Argument = number | bigint | string | Buffer | object | null;

/**
 * A C function whose result below zero means failure, with the reason in `errno`; errors call it by
 * `name`, by default its own.
 */
export function systemCall(
  declaration: string,
  name = /(\w+)\(/.exec(declaration)?.[1] ?? declaration,
): (...args: Argument[]) => number {
  let call: LibraryFunction | undefined;
  return (...args) => {
    call ??= libcFunction(declaration);
    for (;;) {
      const result = Number(call(...args));
      if (result >= 0) return result;
      const errno = lastErrno();
      if (errno !== EINTR) throw new SystemCallError(name, errno);
    }
  };
}

const EINTR = 4;
