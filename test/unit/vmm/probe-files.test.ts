// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openForProbe } from "../../../src/vmm/qemu/probe-files.ts";

let directory: string;
let kernel: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-probe-"));
  kernel = join(directory, "vmlinux");
  writeFileSync(kernel, "a kernel");
});

afterEach(() => rmSync(directory, { recursive: true }));

test("a kernel that only root may read is one that the probe's user can open again", () => {
  chmodSync(kernel, 0o600);
  const fd = openForProbe(kernel);
  try {
    assert.equal(fstatSync(fd).mode & 0o777, 0o444);
    assert.equal(readFileSync(`/proc/self/fd/${fd}`, "utf8"), "a kernel");
    assert.equal(statSync(kernel).mode & 0o777, 0o600, "its own mode stays");
  } finally {
    closeSync(fd);
  }
});

test("a kernel that all may read is not copied", () => {
  chmodSync(kernel, 0o444);
  const fd = openForProbe(kernel);
  try {
    assert.equal(fstatSync(fd).ino, statSync(kernel).ino);
  } finally {
    closeSync(fd);
  }
});

test("a kernel that is missing is an error that names it and the way out", () => {
  assert.throws(() => openForProbe(join(directory, "none")), {
    code: "ASSET_INVALID",
    message: /none cannot be opened/,
    hint: /mukon config show/,
  });
});
