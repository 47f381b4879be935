// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { fstatSync, read } from "node:fs";
import { promisify } from "node:util";
import { SystemCallError, systemCall } from "./system-call.ts";
import { asyncSystemCall } from "./system-call-async.ts";

/** lseek(2) */
const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const CHUNK_BYTES = 1024 * 1024;

const lseek = systemCall("int64_t lseek(int fd, int64_t offset, int whence)");
const sendfile = asyncSystemCall(
  "int64_t sendfile(int output, int input, void *offset, uint64_t count)",
);
const readAt = promisify(read);

/** A part of a file that holds data; what lies between such parts is zeros, and takes no room. */
export interface Extent {
  offset: number;
  length: number;
}

/**
 * The parts of a file that hold data, in their order (lseek(2), SEEK_DATA). Parts with less than
 * `gapBytes` between them count as one.
 */
export function* dataExtents(fd: number, gapBytes = 0): Generator<Extent> {
  const { size } = fstatSync(fd);
  let current: Extent | undefined;
  for (let position = 0; position < size; ) {
    const offset = seekData(fd, position);
    if (offset === undefined) break;
    position = lseek(fd, offset, SEEK_HOLE);
    if (current !== undefined && offset - (current.offset + current.length) < gapBytes) {
      current.length = position - current.offset;
      continue;
    }
    if (current !== undefined) yield current;
    current = { offset, length: position - offset };
  }
  if (current !== undefined) yield current;
}

/**
 * Copies what a file holds to the same places of another one, whose other parts stay as they are.
 * The copying is the kernel's, on another thread. Both descriptors' positions change.
 */
export async function copyExtents(from: number, to: number, gapBytes = 0): Promise<void> {
  for (const { offset, length } of [...dataExtents(from, gapBytes)]) {
    lseek(from, offset, SEEK_SET);
    lseek(to, offset, SEEK_SET);
    for (let left = length; left > 0; ) {
      const copied = await sendfile(to, from, null, left);
      if (copied === 0) throw new Error("the file became shorter while it was copied");
      left -= copied;
    }
  }
}

/** SHA-256, in hexadecimal, over the data of a file and where in the file it lies. */
export async function sha256OfExtents(fd: number): Promise<string> {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (const { offset, length } of [...dataExtents(fd)]) {
    hash.update(`${offset}+${length}\n`);
    for (let done = 0; done < length; ) {
      const wanted = Math.min(chunk.length, length - done);
      const { bytesRead } = await readAt(fd, chunk, 0, wanted, offset + done);
      if (bytesRead === 0) throw new Error("the file became shorter while it was read");
      hash.update(chunk.subarray(0, bytesRead));
      done += bytesRead;
    }
  }
  return hash.digest("hex");
}

/** Undefined: nothing but a hole from here on. */
function seekData(fd: number, position: number): number | undefined {
  try {
    return lseek(fd, position, SEEK_DATA);
  } catch (error) {
    if (error instanceof SystemCallError && error.errorName === "ENXIO") return undefined;
    throw error;
  }
}
