// SPDX-License-Identifier: Apache-2.0
import { createRequire } from "node:module";
import type koffi from "koffi";

type Koffi = typeof koffi;
type Library = ReturnType<Koffi["load"]>;

let loadedKoffi: Koffi | undefined;
let loadedLibrary: Library | undefined;
const functions = new Map<string, ReturnType<Library["func"]>>();

/** The native half of koffi, beside the agent; its JavaScript half would only look for it. */
function koffiModule(): Koffi {
  loadedKoffi ??= createRequire(import.meta.url)("./koffi.node") as Koffi;
  return loadedKoffi;
}

/** A function of the C library by its prototype, bound at its first use. */
export function libc(prototype: string): ReturnType<Library["func"]> {
  const known = functions.get(prototype);
  if (known !== undefined) return known;
  loadedLibrary ??= koffiModule().load("libc.so.6");
  const bound = loadedLibrary.func(prototype);
  functions.set(prototype, bound);
  return bound;
}

/** Calls and throws a system error when the function says -1. */
export function call(prototype: string, ...values: unknown[]): number {
  const result = Number(libc(prototype)(...values));
  if (result === -1) throw systemError(prototype);
  return result;
}

/** As {@link call}, on a thread of the pool: for what may block. */
export function callInPool(prototype: string, ...values: unknown[]): Promise<number> {
  const bound = libc(prototype);
  return new Promise((resolve, reject) => {
    bound.async(...values, (error: Error | null, result: unknown) => {
      if (error !== null) reject(error);
      else if (Number(result) === -1) reject(systemError(prototype));
      else resolve(Number(result));
    });
  });
}

/** Where the buffer's bytes lie; the caller keeps the buffer alive while it uses the address. */
export function addressOf(buffer: Buffer): bigint {
  return BigInt(koffiModule().address(buffer) as bigint | number);
}

function systemError(prototype: string): Error {
  const errno = koffiModule().errno();
  const name = /(\w+)\s*\(/.exec(prototype)?.[1] ?? prototype;
  const { code, text } = describeErrno(errno);
  return Object.assign(new Error(`${name}: ${code}: ${text}`), { code, errno, syscall: name });
}

function describeErrno(errno: number): { code: string; text: string } {
  const codes = koffiModule().os.errno as unknown as Record<string, number>;
  const code = Object.keys(codes).find((name) => codes[name] === errno) ?? `errno ${errno}`;
  return { code, text: String(libc("const char *strerror(int error)")(errno)) };
}
