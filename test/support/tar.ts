// SPDX-License-Identifier: Apache-2.0

/** One entry of a layer; whatever a stranger could write, so nothing is checked. */
export interface TarEntry {
  path: string;
  type?: "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";
  data?: string | Buffer;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  /** Target of a link. */
  link?: string;
  device?: [number, number];
  /** Written as SCHILY.xattr.* records (star(5)). */
  xattrs?: Record<string, Buffer>;
  /** Claim this size in the header, whatever `data` holds. */
  claimedSize?: number;
}

const BLOCK = 512;
const TYPES = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** A tar archive as POSIX's pax has it; long names and attributes in extended headers. */
export function makeTar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.flatMap(entryBlocks), Buffer.alloc(2 * BLOCK)]);
}

function entryBlocks(entry: TarEntry): Buffer[] {
  const data = Buffer.from(entry.data ?? "");
  const records = paxRecords(entry);
  const size = entry.claimedSize ?? data.length;
  const main = [header(entry, TYPES[entry.type ?? "file"], size), padded(data)];
  if (records.length === 0) return main;
  return [header({ path: "pax" }, "x", records.length), padded(records), ...main];
}

function paxRecords(entry: TarEntry): Buffer {
  const pairs: [string, Buffer][] = Object.entries(entry.xattrs ?? {}).map(([name, value]) => [
    `SCHILY.xattr.${name}`,
    value,
  ]);
  if (Buffer.byteLength(entry.path) > 100) pairs.push(["path", Buffer.from(entry.path)]);
  if (Buffer.byteLength(entry.link ?? "") > 100)
    pairs.push(["linkpath", Buffer.from(entry.link ?? "")]);
  if ((entry.claimedSize ?? 0) > 0o77777777777) {
    pairs.push(["size", Buffer.from(String(entry.claimedSize))]);
  }
  for (const key of ["uid", "gid"] as const) {
    if ((entry[key] ?? 0) > 0o7777777) pairs.push([key, Buffer.from(String(entry[key]))]);
  }
  return Buffer.concat(pairs.map(([key, value]) => paxRecord(key, value)));
}

/** "LENGTH KEY=VALUE\n", where the length counts its own digits too. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length;
  while (length !== rest.length + String(length).length) {
    length = rest.length + String(length).length;
  }
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function header(entry: TarEntry, type: string, size: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const isDirectory = entry.type === "directory";
  block.write(entry.path, 0, 100);
  octal(block, entry.mode ?? (isDirectory ? 0o755 : 0o644), 100, 8);
  octal(block, entry.uid ?? 0, 108, 8);
  octal(block, entry.gid ?? 0, 116, 8);
  octal(block, size, 124, 12);
  octal(block, entry.mtime ?? 1_600_000_000, 136, 12);
  block.write("        ", 148, 8);
  block.write(type, 156, 1);
  block.write(entry.link ?? "", 157, 100);
  block.write("ustar\u000000", 257, 8);
  octal(block, entry.device?.[0] ?? 0, 329, 8);
  octal(block, entry.device?.[1] ?? 0, 337, 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8);
  return block;
}

function octal(block: Buffer, value: number, offset: number, length: number): void {
  const limit = 8 ** (length - 1) - 1;
  const text = Math.min(value, limit)
    .toString(8)
    .padStart(length - 1, "0");
  block.write(`${text}\0`, offset, length);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}
