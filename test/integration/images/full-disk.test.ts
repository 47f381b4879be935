// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { resolveImage, rootfsFromDirectory } from "../../../src/images/resolve.ts";
import { storeEntries, whyImagesCannotBeTested } from "../../support/image-store.ts";
import { writeLayout } from "../../support/oci-layout.ts";

const skip = whyImagesCannotBeTested();
const root = mkdtempSync(join(tmpdir(), "mukon-full-"));
const disk = join(root, "disk");
const MIB = 1024 * 1024;

before(() => {
  if (skip !== false) return;
  mkdirSync(disk);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,nr_inodes=4000", "mukon-test", disk]);
  process.env.MUKON_STATE_ROOT = join(disk, "state");
  process.env.MUKON_RUN_ROOT = join(root, "run");
});
after(() => {
  if (skip === false) execFileSync("umount", [disk]);
  rmSync(root, { recursive: true });
});

function layout(name: string, sizesMib: number[]): string {
  const directory = join(root, name);
  // Zeros: small to download, large to unpack.
  const layers = sizesMib.map((size, index) => [
    { path: `file${index}`, data: Buffer.alloc(size * MIB) },
  ]);
  writeLayout(directory, { layers });
  return `oci:${directory}`;
}

const full = { code: "IMAGE_STORE_FULL", hint: /MUKON_STATE_ROOT/ };

test("an image that does not fit says so, and gives the room back", { skip }, async () => {
  await assert.rejects(resolveImage(layout("big", [40])), full);
  assert.deepEqual(storeEntries("work"), []);
  assert.deepEqual(storeEntries("content"), []);
  const small = await resolveImage(layout("small", [2]));
  assert.equal(small.layers.length, 1);
});

test("an image that fits unpacked, but not packed beside it, says so", { skip }, async () => {
  await assert.rejects(resolveImage(layout("twice", [12])), full);
  assert.deepEqual(storeEntries("work"), []);
});

test("a disk without room for one more file says so", { skip }, async () => {
  const directory = join(root, "many");
  writeLayout(directory, {
    layers: [Array.from({ length: 6000 }, (_, index) => ({ path: `f${index}` }))],
  });
  await assert.rejects(resolveImage(`oci:${directory}`), full);
  assert.deepEqual(storeEntries("work"), []);
});

test("a directory that does not fit says so", { skip }, async () => {
  const directory = join(root, "tree");
  mkdirSync(directory);
  writeFileSync(join(directory, "file"), Buffer.alloc(40 * MIB));
  await assert.rejects(rootfsFromDirectory(directory), full);
  assert.deepEqual(storeEntries("work"), []);
});

test("a disk that is full before anything is done says so", { skip }, async () => {
  const ballast = join(disk, "ballast");
  try {
    writeFileSync(ballast, Buffer.alloc(30 * MIB));
  } catch {
    // As much as there was room for.
  }
  await assert.rejects(resolveImage(layout("late", [1])), full);
  rmSync(ballast);
});
