// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type koffi from "koffi";
import { MukonError } from "../errors/mukon-error.ts";

/** The part of koffi that mukon uses: its native library does all of it by itself. */
export type Koffi = Pick<typeof koffi, "load" | "struct" | "address" | "errno">;
export type LibraryFunction = ReturnType<ReturnType<Koffi["load"]>["func"]>;

let loaded: Koffi | undefined;
let libc: ReturnType<Koffi["load"]> | undefined;

/**
 * Loads koffi's library on first use: beside the program's bundle, or from node_modules.
 * Loading it costs some 10 ms: programs that make no system call by themselves do not pay.
 * @throws FFI_UNAVAILABLE
 */
export function loadKoffi(): Koffi {
  if (loaded === undefined) {
    const require = createRequire(import.meta.url);
    try {
      loaded = require(nativeLibrary(require)) as Koffi;
    } catch (cause) {
      throw new MukonError("FFI_UNAVAILABLE", `koffi's library cannot be loaded: ${cause}`, {
        hint: "install mukon again (scripts/quickstart), or run npm ci in its sources",
        cause,
      });
    }
  }
  return loaded;
}

/** A function of the C library, by its C declaration. */
export function libcFunction(declaration: string): LibraryFunction {
  libc ??= loadKoffi().load("libc.so.6");
  return libc.func(declaration);
}

/** `errno` of the last call through koffi, on this thread. */
export function lastErrno(): number {
  return loadKoffi().errno();
}

function nativeLibrary(require: NodeJS.Require): string {
  const beside = fileURLToPath(new URL("./koffi.node", import.meta.url));
  if (existsSync(beside)) return beside;
  const platform = `${process.platform}_${process.arch}`;
  return require.resolve(
    `@koromix/koffi-${process.platform}-${process.arch}/${platform}/koffi.node`,
  );
}
