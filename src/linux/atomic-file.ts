// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";

const TEMPORARY = /\.[0-9a-f]{8}\.new$/;

/** Whether a file has the name of one that {@link writeFileAtomic} was killed at. */
export function isHalfWritten(name: string): boolean {
  return TEMPORARY.test(name);
}

/**
 * Writes the whole file or nothing: readers see the old text or the new one, after a power cut
 * too. The mode is set whatever the umask is.
 */
export function writeFileAtomic(
  path: string,
  data: string | Buffer,
  options: { mode: number },
): void {
  const temporary = `${path}.${randomBytes(4).toString("hex")}.new`;
  try {
    writeNewFile(temporary, data, options.mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function writeNewFile(path: string, data: string | Buffer, mode: number): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, data);
    fchmodSync(descriptor, mode);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
