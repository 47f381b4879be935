// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  constants,
  fstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";

/** One file, directory or link below the root of a snapshot, which is "" itself. */
export interface VolumeEntry {
  path: string;
  kind: "file" | "directory" | "link";
  /** Permissions, without the type. */
  mode: number;
  uid: number;
  gid: number;
  /** Contents of a file, target of a link; empty for a directory. */
  data: Buffer;
}

/** What is still small: as much as Kata copies rather than shares. */
export const MAX_FILE_BYTES = 2 ** 20;
export const MAX_TOTAL_BYTES = 4 * 2 ** 20;
export const MAX_ENTRIES = 1024;
const MAX_DEPTH = 16;
const PERMISSIONS = 0o7777;
/** Without O_NONBLOCK, a FIFO in its place would hold up the shim. */
const OPEN = constants.O_RDONLY | constants.O_NONBLOCK;

interface Walk {
  entries: VolumeEntry[];
  bytes: number;
}

/**
 * Reads a file, or a directory with all that is in it: parents come before what is in them. Links
 * below the source are read as links and never followed, also not those swapped in meanwhile.
 * @throws VOLUME_UNSUPPORTED when it is too large, cannot be read, or holds more than
 *   files, directories and links
 */
export function readSnapshot(source: string): VolumeEntry[] {
  const walk: Walk = { entries: [], bytes: 0 };
  try {
    const descriptor = openSync(source, OPEN);
    try {
      readOpen(walk, descriptor, "");
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const { message } = error as Error;
    throw new MukonError("VOLUME_UNSUPPORTED", `${source} cannot be copied: ${message}`, {
      hint: "only small files and directories of them can be mounted so far; put the rest into the image",
      cause: error,
    });
  }
  return walk.entries;
}

/** Bytes of files and links, together. */
export function bytesOf(entries: readonly VolumeEntry[]): number {
  return entries.reduce((sum, { data }) => sum + data.length, 0);
}

class TooMuch extends Error {}

function readOpen(walk: Walk, descriptor: number, path: string): void {
  const status = fstatSync(descriptor);
  if (status.isDirectory()) {
    readDirectory(walk, descriptor, { path, status });
    return;
  }
  if (!status.isFile()) throw new TooMuch(`"${path}" is neither file, directory nor link`);
  add(walk, { ...ownerOf(status), path, kind: "file", data: readBounded(descriptor, path) });
}

function readDirectory(
  walk: Walk,
  descriptor: number,
  { path, status }: { path: string; status: Stats },
): void {
  if (path.split("/").length > MAX_DEPTH) throw new TooMuch(`"${path}" is too deep`);
  add(walk, { ...ownerOf(status), path, kind: "directory", data: Buffer.alloc(0) });
  const here = `/proc/self/fd/${descriptor}`;
  for (const name of boundedNames(here)) {
    const below = path === "" ? name : `${path}/${name}`;
    try {
      readBelow(walk, `${here}/${name}`, below);
    } catch (error) {
      // What has gone since it was listed is no failure.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** No more are listed than may be there: a huge directory must not hold up the shim. */
function boundedNames(directory: string): string[] {
  const names: string[] = [];
  const handle = opendirSync(directory);
  try {
    for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
      names.push(entry.name);
      if (names.length > MAX_ENTRIES) throw new TooMuch(`it has over ${MAX_ENTRIES} files`);
    }
  } finally {
    handle.closeSync();
  }
  return names.sort();
}

function readBelow(walk: Walk, place: string, path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(place, OPEN | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENXIO") throw new TooMuch(`"${path}" is a socket or a device`);
    if (code !== "ELOOP") throw error;
    const data = Buffer.from(readlinkSync(place));
    add(walk, { path, kind: "link", mode: 0o777, uid: 0, gid: 0, data });
    return;
  }
  try {
    readOpen(walk, descriptor, path);
  } finally {
    closeSync(descriptor);
  }
}

function ownerOf({ mode, uid, gid }: Stats): Pick<VolumeEntry, "mode" | "uid" | "gid"> {
  return { mode: mode & PERMISSIONS, uid, gid };
}

function readBounded(descriptor: number, path: string): Buffer {
  const parts: Buffer[] = [];
  for (let total = 0; ; ) {
    const part = Buffer.alloc(64 * 1024);
    const count = readSync(descriptor, part, 0, part.length, total);
    if (count === 0) return Buffer.concat(parts);
    total += count;
    if (total > MAX_FILE_BYTES) throw new TooMuch(`"${path}" has over ${MAX_FILE_BYTES} bytes`);
    parts.push(part.subarray(0, count));
  }
}

function add(walk: Walk, entry: VolumeEntry): void {
  walk.bytes += entry.data.length;
  walk.entries.push(entry);
  if (walk.bytes > MAX_TOTAL_BYTES) throw new TooMuch(`it has over ${MAX_TOTAL_BYTES} bytes`);
  if (walk.entries.length > MAX_ENTRIES) throw new TooMuch(`it has over ${MAX_ENTRIES} files`);
}
