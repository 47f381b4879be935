// SPDX-License-Identifier: Apache-2.0
import { type LibraryFunction, lastErrno, libcFunction } from "./koffi-loader.ts";
import { SystemCallError } from "./system-call.ts";

type Argument = number | bigint | null;

/**
 * A C function that may take its time, run on a thread of the pool. Its `errno` stays on that
 * thread, so a failure is asked for once more on this one: use it for calls that fail again.
 */
export function asyncSystemCall(declaration: string): (...args: Argument[]) => Promise<number> {
  let call: LibraryFunction | undefined;
  const name = /(\w+)\(/.exec(declaration)?.[1] ?? declaration;
  return async (...args) => {
    call ??= libcFunction(declaration);
    const result = await new Promise<number>((done, fail) => {
      call?.async(...args, (error: Error | null, value: number | bigint) => {
        if (error === null) done(Number(value));
        else fail(error);
      });
    });
    if (result >= 0) return result;
    return retry(name, call, args);
  };
}

function retry(name: string, call: LibraryFunction, args: readonly Argument[]): number {
  const result = Number(call(...args));
  if (result >= 0) return result;
  throw new SystemCallError(name, lastErrno());
}
