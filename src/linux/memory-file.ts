// SPDX-License-Identifier: Apache-2.0
import { closeSync, readSync, writeSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE; fcntl(2). */
const ALL_SEALS = 0xf;
const CHUNK_BYTES = 1024 * 1024;

const memfdCreate = systemCall("int memfd_create(const char *name, unsigned int flags)");
const fcntl = systemCall("int fcntl(int fd, int command, int argument)");

/**
 * A copy in memory that nobody can change any more, however it is opened (memfd_create(2)).
 * Returns its descriptor, close-on-exec; the source stays open.
 */
export function sealedCopy(sourceFd: number, name: string): number {
  const fd = memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  try {
    copyAll(sourceFd, fd);
    fcntl(fd, F_ADD_SEALS, ALL_SEALS);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function copyAll(from: number, to: number): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const length = readSync(from, chunk, 0, chunk.length, position);
    if (length === 0) return;
    for (let done = 0; done < length; ) done += writeSync(to, chunk, done, length - done);
    position += length;
  }
}
