// SPDX-License-Identifier: Apache-2.0
import { readFile, rm, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";

export type KernelCompression = "gzip" | "xz" | "zstd" | "lz4";

/** The compressed kernel inside of a bzImage. */
export interface KernelPayload {
  compression: KernelCompression;
  data: Buffer;
}

// Offsets in the setup header: Documentation/arch/x86/boot.rst in the kernel's tree.
const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const PROTOCOL_VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
/** The first protocol version that tells where the payload is. */
const FIRST_VERSION_WITH_PAYLOAD = 0x0208;
/** All forms but gzip are followed by the size of what they unpack to. */
const SIZE_SUFFIX_BYTES = 4;

const MAGICS: readonly { compression: KernelCompression; magic: Buffer }[] = [
  { compression: "gzip", magic: Buffer.from([0x1f, 0x8b]) },
  { compression: "xz", magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
  { compression: "zstd", magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { compression: "lz4", magic: Buffer.from([0x02, 0x21, 0x4c, 0x18]) },
];

/**
 * Writes the ELF kernel that a bzImage holds. A VMM enters it directly (PVH), which spares the
 * guest to unpack it: almost a second under emulation.
 * @throws MukonError GUEST_KERNEL_INVALID
 */
export async function extractKernel(bzImagePath: string, elfPath: string): Promise<void> {
  const payload = findPayload(await readFile(bzImagePath), bzImagePath);
  await decompress(payload, elfPath);
  const elf = await readFile(elfPath);
  if (!isElf(elf)) throw invalid(bzImagePath, "what it unpacks to is no ELF file");
  if (!hasPvhEntry(elf)) throw invalid(bzImagePath, "it has no PVH entry point");
}

/** Finds the compressed kernel in the bytes of a bzImage. */
export function findPayload(image: Buffer, path: string): KernelPayload {
  if (image.length < 0x250 || image.toString("latin1", HEADER_MAGIC, HEADER_MAGIC + 4) !== "HdrS") {
    throw invalid(path, "it is no bzImage");
  }
  if (image.readUInt16LE(PROTOCOL_VERSION) < FIRST_VERSION_WITH_PAYLOAD) {
    throw invalid(path, "its boot protocol is too old");
  }
  const setupBytes = ((image[SETUP_SECTORS] ?? 0) + 1) * SECTOR_BYTES;
  const start = setupBytes + image.readUInt32LE(PAYLOAD_OFFSET);
  const end = start + image.readUInt32LE(PAYLOAD_LENGTH);
  const payload = image.subarray(start, end);
  if (end > image.length || payload.length < 1024) throw invalid(path, "its payload is cut short");
  const found = MAGICS.find(({ magic }) => payload.subarray(0, magic.length).equals(magic));
  if (found === undefined) {
    throw invalid(path, `its compression is unknown (${payload.toString("hex", 0, 6)})`);
  }
  const suffixBytes = found.compression === "gzip" ? 0 : SIZE_SUFFIX_BYTES;
  return { ...found, data: payload.subarray(0, payload.length - suffixBytes) };
}

async function decompress(payload: KernelPayload, elfPath: string): Promise<void> {
  if (payload.compression === "gzip") {
    await writeFile(elfPath, gunzipSync(payload.data));
    return;
  }
  const packedPath = `${elfPath}.${payload.compression === "zstd" ? "zst" : payload.compression}`;
  await writeFile(packedPath, payload.data);
  const keepQuiet = ["--decompress", "--quiet", "--force"];
  if (payload.compression === "xz") await run(["xz", ...keepQuiet, packedPath]);
  else await run([payload.compression, ...keepQuiet, packedPath, ...outputOf(payload, elfPath)]);
  await rm(packedPath, { force: true });
}

/** zstd wants a flag before the name of its output, lz4 the bare name. */
function outputOf(payload: KernelPayload, elfPath: string): string[] {
  return payload.compression === "zstd" ? ["-o", elfPath] : [elfPath];
}

function isElf(data: Buffer): boolean {
  return data.subarray(0, 4).equals(Buffer.from([0x7f, 0x45, 0x4c, 0x46]));
}

/** The note XEN_ELFNOTE_PHYS32_ENTRY: name "Xen", type 18. */
function hasPvhEntry(elf: Buffer): boolean {
  const note = Buffer.alloc(8);
  note.writeUInt32LE(18, 0);
  note.write("Xen\0", 4, "latin1");
  return elf.includes(note);
}

function invalid(path: string, why: string): MukonError {
  return new MukonError("GUEST_KERNEL_INVALID", `${path} cannot be booted directly: ${why}.`, {
    hint: "Report the version of the kernel package; mukon must learn its form.",
  });
}
