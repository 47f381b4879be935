// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  loadOrder,
  parseModule,
  readModules,
  withoutSignature,
} from "../../../guest/image/modules.ts";
import { run } from "../../../src/linux/run.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "mukon-modules-"));
  const tree = join(directory, "kernel/drivers/deep");
  await mkdir(tree, { recursive: true });
  const write = async (name: string, depends: string): Promise<void> => {
    const path = join(tree, `${name}.ko`);
    await writeFile(path, `ELF\0license=GPL\0depends=${depends}\0alias=virtio:d${name}v*\0`);
    await run(["xz", "-q", path]);
  };
  await write("virtio-pmem", "nd-virtio,libnvdimm");
  await write("nd_virtio", "");
  await write("libnvdimm", "builtin_one");
  await write("unrelated", "");
  await writeFile(join(directory, "modules.builtin"), "kernel/lib/builtin-one.ko\n");
});
after(() => rm(directory, { recursive: true, force: true }));

test("a module comes with all it depends on, and nothing else", async () => {
  const modules = await readModules(directory, ["virtio_pmem"], join(directory, "work"));
  assert.deepEqual([...modules.keys()].sort(), ["libnvdimm", "nd_virtio", "virtio_pmem"]);
});

test("each module is loaded after those it depends on, once", async () => {
  const modules = await readModules(directory, ["virtio_pmem"], join(directory, "work"));
  const order = loadOrder(modules, ["virtio_pmem", "libnvdimm"]);
  assert.equal(order.length, 3);
  assert.equal(order.at(-1), "virtio_pmem");
});

test("a module that the kernel package lacks is named", async () => {
  await assert.rejects(readModules(directory, ["overlay"], directory), {
    code: "GUEST_MODULE_MISSING",
    message: /overlay/,
  });
});

test("names and aliases are read out of a module", () => {
  const data = Buffer.from("x\0depends=a-b,c\0alias=fs-erofs\0alias=two\0depends_not=z\0");
  const module = parseModule("m", data);
  assert.deepEqual(module.dependencies, ["a_b", "c"]);
  assert.deepEqual(module.aliases, ["fs-erofs", "two"]);
});

test("a module's signature is cut off, and nothing but a whole signature", () => {
  const body = Buffer.from("ELF body");
  const mark = Buffer.from("~Module signature appended~\n");
  const info = (bytes: number): Buffer => Buffer.from([0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, bytes]);
  const signed = (bytes: number) => Buffer.concat([body, Buffer.from("sign"), info(bytes), mark]);
  assert.deepEqual(withoutSignature(signed(4)), body);
  for (const untouched of [body, mark, signed(200), Buffer.alloc(0)]) {
    assert.equal(withoutSignature(untouched), untouched);
  }
});
