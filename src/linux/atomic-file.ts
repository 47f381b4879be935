// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";

/** Writes the whole file or nothing: readers see the old text or the new one. */
export function writeFileAtomic(
  path: string,
  data: string | Buffer,
  options: { mode: number },
): void {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.new`;
  try {
    writeFileSync(temporary, data, { mode: options.mode, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
