// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { SystemCallError, systemCall } from "./system-call.ts";

const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
/** Of huge pages of the host's usual size. */
const MFD_HUGETLB = 0x4;
/** Can never be executed; Linux 6.3. */
const MFD_NOEXEC_SEAL = 0x8;
const F_ADD_SEALS = 1033;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE; fcntl(2). */
const ALL_SEALS = 0xf;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW: whoever has mapped it can rely on its size. */
const SIZE_SEALS = 0x7;
const CHUNK_BYTES = 1024 * 1024;

const memfdCreate = systemCall("int memfd_create(const char *name, unsigned int flags)");
const fcntl = systemCall("int fcntl(int fd, int command, int argument)");

/**
 * A copy in memory that nobody can change any more, however it is opened (memfd_create(2)).
 * Returns its read-only descriptor, close-on-exec; the source stays open. Anybody who is handed the
 * descriptor may read it, also by its path in /proc.
 */
export function sealedCopy(sourceFd: number, name: string): number {
  return sealed(name, (fd) => copyAll(sourceFd, fd));
}

/** The same of bytes. */
export function sealedFile(data: Buffer, name: string): number {
  return sealed(name, (fd) => writeFileSync(fd, data));
}

function sealed(name: string, fill: (fd: number) => void): number {
  const fd = createMemoryFile(name);
  try {
    fill(fd);
    fchmodSync(fd, 0o444);
    fcntl(fd, F_ADD_SEALS, ALL_SEALS);
    return openSync(`/proc/self/fd/${fd}`, "r");
  } finally {
    closeSync(fd);
  }
}

/**
 * Memory of a fixed size for one process, which may open it again by its path in /proc: nobody but
 * `owner` and root can. Empty pages take no memory, but huge ones are taken from the host's when the file
 * is mapped. Returns its descriptor, close-on-exec.
 */
export function sizedMemory(
  sizeBytes: number,
  options: { name: string; owner: { uid: number; gid: number }; isHuge?: boolean },
): number {
  const fd = createMemoryFile(options.name, options.isHuge === true ? MFD_HUGETLB : 0);
  try {
    ftruncateSync(fd, sizeBytes);
    fcntl(fd, F_ADD_SEALS, SIZE_SEALS);
    fchmodSync(fd, 0o600);
    fchownSync(fd, options.owner.uid, options.owner.gid);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Memory that grows and shrinks like a file. Returns its descriptor, close-on-exec. */
export function emptyMemory(name: string): number {
  return createMemoryFile(name);
}

function createMemoryFile(name: string, more = 0): number {
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | more;
  try {
    return memfdCreate(name, flags | MFD_NOEXEC_SEAL);
  } catch (error) {
    if (!(error instanceof SystemCallError) || error.errorName !== "EINVAL") throw error;
    return memfdCreate(name, flags);
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
