// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { extractKernel, findPayload } from "../../../guest/image/kernel.ts";
import { run } from "../../../src/linux/run.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "mukon-kernel-"));
});
after(() => rm(directory, { recursive: true, force: true }));

const PVH_NOTE = Buffer.from([
  4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0, 0x58, 0x65, 0x6e, 0, 0, 0, 0, 1,
]);

/** Bytes that pass for a kernel: the ELF magic, the PVH note, and something that packs badly. */
function makeElf(): Buffer {
  const noise = Buffer.alloc(8192);
  for (let index = 0; index < noise.length; index++) noise[index] = (index * index * 7919) >> 5;
  return Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46]), PVH_NOTE, noise]);
}

function makeBzImage(payload: Buffer): Buffer {
  const setup = Buffer.alloc(512 * 4);
  setup[0x1f1] = 3;
  setup.write("HdrS", 0x202, "latin1");
  setup.writeUInt16LE(0x020f, 0x206);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(16), payload, Buffer.from("after")]);
}

async function pack(tool: string, flags: string[], data: Buffer): Promise<Buffer> {
  const plain = join(directory, "plain");
  await writeFile(plain, data);
  await run([tool, "-q", "-f", "-k", ...flags, plain]);
  const packed = await readFile(`${plain}.${tool === "zstd" ? "zst" : tool}`);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  return Buffer.concat([packed, size]);
}

const forms: { name: string; make: (data: Buffer) => Promise<Buffer> }[] = [
  { name: "gzip", make: async (data) => gzipSync(data) },
  { name: "xz", make: (data) => pack("xz", ["--check=crc32", "--x86", "--lzma2"], data) },
  { name: "zstd", make: (data) => pack("zstd", [], data) },
];

for (const { name, make } of forms) {
  test(`the ELF kernel comes out of a bzImage packed with ${name}`, async () => {
    const elf = makeElf();
    const source = join(directory, `vmlinuz-${name}`);
    await writeFile(source, makeBzImage(await make(elf)));
    await extractKernel(source, join(directory, "vmlinux"));
    assert.ok((await readFile(join(directory, "vmlinux"))).equals(elf));
  });
}

test("an lz4 payload is recognized", () => {
  const data = Buffer.concat([Buffer.from([0x02, 0x21, 0x4c, 0x18]), Buffer.alloc(4096)]);
  assert.equal(findPayload(makeBzImage(data), "k").compression, "lz4");
});

const broken: { why: string; image: Buffer }[] = [
  { why: "is no bzImage", image: Buffer.alloc(4096) },
  { why: "is no bzImage", image: Buffer.from("short") },
  { why: "cut short", image: makeBzImage(gzipSync(makeElf())).subarray(0, 3000) },
  { why: "compression is unknown", image: makeBzImage(Buffer.alloc(4096, 1)) },
];

for (const { why, image } of broken) {
  test(`a kernel that ${why} is refused by name (${image.length} bytes)`, () => {
    assert.throws(() => findPayload(image, "/boot/vmlinuz"), {
      code: "GUEST_KERNEL_INVALID",
      message: new RegExp(`/boot/vmlinuz .*${why}`),
    });
  });
}

test("a kernel without a PVH entry is refused", async () => {
  const elf = makeElf();
  elf.fill(0, 4, 24);
  const source = join(directory, "vmlinuz-no-pvh");
  await writeFile(source, makeBzImage(gzipSync(elf)));
  await assert.rejects(extractKernel(source, join(directory, "vmlinux")), /no PVH entry/);
});
