// SPDX-License-Identifier: Apache-2.0

/** One entry of an initramfs. `mode` holds the permission bits only. */
export type CpioEntry =
  | { kind: "directory"; path: string; mode: number }
  | { kind: "file"; path: string; mode: number; data: Buffer }
  | { kind: "link"; path: string; target: string };

const TYPE_BITS = { directory: 0o040000, file: 0o100000, link: 0o120000 };

/**
 * Writes the "newc" form of cpio that the kernel unpacks (Documentation/driver-api/early-userspace
 * in the kernel's tree). All entries belong to root and have time 0, so that the same entries
 * always give the same bytes. Directories must come before what they hold.
 */
export function writeCpio(entries: readonly CpioEntry[]): Buffer {
  const pieces = entries.map((entry, index) => writeEntry(entry, index + 1));
  pieces.push(writeHeader({ name: "TRAILER!!!", inode: 0, mode: 0, size: 0 }));
  return Buffer.concat(pieces);
}

function writeEntry(entry: CpioEntry, inode: number): Buffer {
  const data = contentOf(entry);
  const permissions = entry.kind === "link" ? 0o777 : entry.mode;
  const mode = TYPE_BITS[entry.kind] | permissions;
  const header = writeHeader({ name: entry.path, inode, mode, size: data.length });
  return padToFour(Buffer.concat([header, data]));
}

function contentOf(entry: CpioEntry): Buffer {
  if (entry.kind === "file") return entry.data;
  return Buffer.from(entry.kind === "link" ? entry.target : "");
}

function writeHeader(fields: { name: string; inode: number; mode: number; size: number }): Buffer {
  const name = Buffer.from(`${fields.name}\0`);
  const uid = 0;
  const gid = 0;
  const links = 1;
  const time = 0;
  const devices = [0, 0, 0, 0];
  const checksum = 0;
  const numbers = [fields.inode, fields.mode, uid, gid, links, time, fields.size];
  const all = [...numbers, ...devices, name.length, checksum];
  const hexadecimal = all.map((number) => number.toString(16).padStart(8, "0")).join("");
  return padToFour(Buffer.concat([Buffer.from(`070701${hexadecimal}`), name]));
}

function padToFour(data: Buffer): Buffer {
  const missing = (4 - (data.length % 4)) % 4;
  return missing === 0 ? data : Buffer.concat([data, Buffer.alloc(missing)]);
}
