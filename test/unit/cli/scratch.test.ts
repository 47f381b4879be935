// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bundlePaths } from "../../../src/cli/container/paths.ts";
import { collectScratchDisks, removeScratchDisk } from "../../../src/cli/container/scratch.ts";

const ID = "0123456789ab";

test("disks of containers that are gone are removed, and nothing else", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-scratch-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const kept = [`mukon-scratch-${ID}.img`, "mukon-scratch-x.img", "important.img"];
  for (const name of [...kept, "mukon-scratch-ffffffffffff.img"])
    writeFileSync(join(directory, name), "");
  const removed = collectScratchDisks(directory, [ID]);
  assert.deepEqual(removed, [join(directory, "mukon-scratch-ffffffffffff.img")]);
  assert.deepEqual(readdirSync(directory).sort(), kept.sort());
  assert.deepEqual(collectScratchDisks(join(directory, "none"), []), []);
});

test("a bundle's link leads to its own disk or to nothing", (t) => {
  const root = mkdtempSync(join(tmpdir(), "mukon-scratch-"));
  const before = process.env.MUKON_RUN_ROOT;
  process.env.MUKON_RUN_ROOT = root;
  t.after(() => {
    if (before === undefined) delete process.env.MUKON_RUN_ROOT;
    else process.env.MUKON_RUN_ROOT = before;
    rmSync(root, { recursive: true });
  });
  const foreign = join(root, "foreign");
  const own = join(root, `mukon-scratch-${ID}.img`);
  mkdirSync(bundlePaths(ID).directory, { recursive: true });
  for (const target of [foreign, own]) {
    writeFileSync(target, "");
    rmSync(bundlePaths(ID).scratch, { force: true });
    symlinkSync(target, bundlePaths(ID).scratch);
    removeScratchDisk(ID);
  }
  assert.deepEqual([existsSync(foreign), existsSync(own)], [true, false]);
});
