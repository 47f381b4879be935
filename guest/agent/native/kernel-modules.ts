// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { isSystemError } from "../errors.ts";
import { callInPool } from "./libc.ts";

/** finit_module(2) has no function in the C library. */
const SYSCALL = "long syscall(long number, int descriptor, const char *parameters, int flags)";
const FINIT_MODULE: Readonly<Record<string, number>> = { x64: 313, arm64: 273 };
const DIRECTORY = "/usr/lib/modules";

/** Loads modules of the image, and those that they need; one that is built in, or there, stays. */
export async function loadModules(names: readonly string[]): Promise<void> {
  const directory = join(DIRECTORY, release());
  const table = readFileSync(join(directory, "modules.dep"), "utf8");
  for (const file of names.flatMap((name) => filesOf(name, table))) {
    await loadFile(join(directory, file));
  }
}

/** Modules of the image that say they drive a device of this kind (modules.alias). */
export function modulesFor(
  modalias: string,
  table = readFileSync(join(DIRECTORY, release(), "modules.alias"), "utf8"),
): string[] {
  return table.split("\n").flatMap((line) => {
    const [, pattern, name] = /^alias (\S+) (\S+)$/.exec(line) ?? [];
    if (pattern === undefined || name === undefined) return [];
    const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${parts.join(".*")}$`).test(modalias) ? [name] : [];
  });
}

/** The files of a module by the image's modules.dep, in the order in which they are to be loaded. */
export function filesOf(name: string, table: string): string[] {
  const line = table.split("\n").find((one) => one.startsWith(`${name}.ko:`));
  if (line === undefined) return [];
  const needed = line.slice(line.indexOf(":") + 1).split(" ");
  return [...needed.filter((file) => file !== "").reverse(), `${name}.ko`];
}

async function loadFile(path: string): Promise<void> {
  const number = FINIT_MODULE[process.arch];
  if (number === undefined) return;
  const descriptor = openSync(path, "r");
  try {
    await callInPool(SYSCALL, number, descriptor, "", 0);
  } catch (error) {
    if (!isSystemError(error, "EEXIST")) throw error;
  } finally {
    closeSync(descriptor);
  }
}
