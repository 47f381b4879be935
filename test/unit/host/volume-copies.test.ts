// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { changesBetween } from "../../../src/host/volume-copies/changes.ts";
import {
  MAX_ENTRIES,
  MAX_FILE_BYTES,
  readSnapshot,
} from "../../../src/host/volume-copies/snapshot.ts";
import { TreeWatch } from "../../../src/host/volume-copies/watch.ts";

const base = mkdtempSync(join(tmpdir(), "mukon-small-"));
const root = join(base, "volume");
after(() => rmSync(base, { recursive: true }));
beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root);
});

/** As kubelet's atomic writer does it. */
function publish(generation: string, value: string): void {
  mkdirSync(join(root, `..${generation}`));
  writeFileSync(join(root, `..${generation}`, "key"), value);
  symlinkSync(`..${generation}`, join(root, "..data_tmp"));
  renameSync(join(root, "..data_tmp"), join(root, "..data"));
}

test("links are read as links, also one that leads out; what has changed is told in order", () => {
  publish("1", "old");
  symlinkSync("..data/key", join(root, "key"));
  symlinkSync("/etc/shadow", join(root, "escape"));
  const before = readSnapshot(root);
  const leading = before.find(({ path }) => path === "escape");
  assert.equal(leading?.kind, "link");
  assert.equal(leading?.data.toString(), "/etc/shadow");
  publish("2", "new");
  rmSync(join(root, "..1"), { recursive: true });
  const steps = changesBetween(before, readSnapshot(root)).map(({ path, kind }) => [path, kind]);
  assert.deepEqual(steps, [
    ["..2", "directory"],
    ["..2/key", "file"],
    ["..data", "link"],
    ["..1/key", "nothing"],
    ["..1", "nothing"],
  ]);
});

test("a file in the place of a directory replaces it", () => {
  mkdirSync(join(root, "a"));
  const before = readSnapshot(root);
  rmSync(join(root, "a"), { recursive: true });
  writeFileSync(join(root, "a"), "x");
  const steps = changesBetween(before, readSnapshot(root)).map(({ path, kind }) => [path, kind]);
  assert.deepEqual(steps, [
    ["a", "nothing"],
    ["a", "file"],
  ]);
});

test("what is large, or no file, is refused; a FIFO holds nobody up", () => {
  const large = join(root, "large");
  writeFileSync(large, "");
  truncateSync(large, MAX_FILE_BYTES);
  assert.equal(readSnapshot(large)[0]?.data.length, MAX_FILE_BYTES);
  truncateSync(large, MAX_FILE_BYTES + 1);
  assert.throws(() => readSnapshot(large), { code: "VOLUME_UNSUPPORTED" });
  rmSync(large);
  for (let count = 0; count < 5; count += 1) {
    writeFileSync(join(root, `f${count}`), Buffer.alloc(900 * 1024));
  }
  assert.throws(() => readSnapshot(root), { code: "VOLUME_UNSUPPORTED", message: /over 4194304/ });
  rmSync(root, { recursive: true });
  mkdirSync(root);
  execFileSync("mkfifo", [join(root, "fifo")]);
  assert.throws(() => readSnapshot(root), { code: "VOLUME_UNSUPPORTED", message: /fifo/ });
});

test("a directory with too many names is refused, and a source that is not there named", () => {
  for (let count = 0; count <= MAX_ENTRIES; count += 1) writeFileSync(join(root, `n${count}`), "");
  assert.throws(() => readSnapshot(root), {
    code: "VOLUME_UNSUPPORTED",
    message: /over 1024 files/,
  });
  assert.throws(() => readSnapshot(join(base, "none")), {
    code: "VOLUME_UNSUPPORTED",
    message: /none cannot be copied: ENOENT/,
  });
});

test("a swap of links is noticed", async () => {
  publish("1", "old");
  let watch: TreeWatch | undefined;
  const noticed = new Promise<void>((done) => {
    watch = new TreeWatch(root, done);
  });
  const keepAlive = setTimeout(() => {}, 20_000);
  try {
    watch?.follow(readSnapshot(root));
    publish("2", "new");
    await noticed;
  } finally {
    watch?.close();
    clearTimeout(keepAlive);
  }
});
