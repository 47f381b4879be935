// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";

const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const HEADER_BYTES = 64;
/** Of the program header table: enough for every linker there is. */
const MAX_TABLE_BYTES = 64 * 1024;
const PT_INTERP = 3;
const MAX_PATH_BYTES = 4096;
const MAX_SCRIPT_BYTES = 64 * 1024;

/** What the kernel, and a shell, need beside the file itself to run it. */
export type Executable =
  /** `loader`: the program that links it; undefined: it stands alone. */
  | { kind: "elf"; loader: string | undefined }
  /** The absolute paths in its text, its interpreter among them. */
  | { kind: "script"; paths: string[] }
  | { kind: "other" };

/** elf(5) of 64 bits, or a script (execve(2)). */
export function readExecutable(path: string): Executable {
  const fd = openSync(path, "r");
  try {
    const header = readAt(fd, 0, HEADER_BYTES);
    if (header.subarray(0, 2).toString() === "#!") return readScript(path);
    if (header.length < HEADER_BYTES || !header.subarray(0, 6).equals(ELF_MAGIC)) {
      return { kind: "other" };
    }
    return { kind: "elf", loader: readLoader(fd, header) };
  } finally {
    closeSync(fd);
  }
}

function readScript(path: string): Executable {
  if (statSync(path).size > MAX_SCRIPT_BYTES) return { kind: "other" };
  const words = readFileSync(path, "utf8").match(/(?<![\w.:/$}-])\/[\w.+@:,/-]+/g) ?? [];
  return { kind: "script", paths: [...new Set(words.flatMap((word) => word.split(":")))] };
}

function readLoader(fd: number, header: Buffer): string | undefined {
  const entryBytes = header.readUInt16LE(54);
  const tableBytes = Math.min(entryBytes * header.readUInt16LE(56), MAX_TABLE_BYTES);
  const table = readAt(fd, Number(header.readBigUInt64LE(32)), tableBytes);
  for (let at = 0; at + 40 <= table.length && entryBytes >= 40; at += entryBytes) {
    if (table.readUInt32LE(at) !== PT_INTERP) continue;
    const bytes = Math.min(Number(table.readBigUInt64LE(at + 32)), MAX_PATH_BYTES);
    return readAt(fd, Number(table.readBigUInt64LE(at + 8)), bytes)
      .toString("utf8")
      .replace(/\0.*$/s, "");
  }
  return undefined;
}

function readAt(fd: number, position: number, bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  return data.subarray(0, readSync(fd, data, 0, bytes, position));
}
