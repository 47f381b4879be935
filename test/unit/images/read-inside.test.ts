// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readInside } from "../../../src/images/read-inside.ts";

let top = "";
let root = "";
before(() => {
  top = mkdtempSync(join(tmpdir(), "mukon-inside-"));
  root = join(top, "root");
  mkdirSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(root, "store"));
  writeFileSync(join(top, "secret"), "outside");
  writeFileSync(join(root, "secret"), "inside");
  writeFileSync(join(root, "store/passwd"), "root:x:0:0");
});
after(() => rmSync(top, { recursive: true }));

function read(path: string, maxBytes = 1024): string | undefined {
  return readInside(root, path, maxBytes)?.toString();
}

function link(name: string, target: string): string {
  symlinkSync(target, join(root, name));
  return `/${name}`;
}

test("links of the image lead to files of the image", () => {
  assert.equal(read(link("etc/passwd", "/store/passwd")), "root:x:0:0");
  assert.equal(read(link("etc/relative", "../store/./passwd")), "root:x:0:0");
  assert.equal(read(link("etc/twice", "passwd")), "root:x:0:0");
});

test("no link leads out", () => {
  for (const [index, target] of [
    join(top, "secret"),
    "../../secret",
    "../../../../../../../../secret",
    "/../secret",
    `/proc/self/cwd/../../${top}/secret`,
  ].entries()) {
    const found = read(link(`etc/out${index}`, target));
    assert.ok(found === undefined || found === "inside", target);
  }
  const directory = link("etc/dir", "/");
  assert.equal(read(`${directory}/../../secret`), "inside");
});

test("loops, directories, FIFOs and long files are nothing", () => {
  link("loop-a", "loop-b");
  assert.equal(read(link("loop-b", "loop-a")), undefined);
  assert.equal(read("/etc"), undefined);
  execFileSync("mkfifo", [join(root, "fifo")]);
  assert.equal(read("/fifo"), undefined);
  assert.equal(read("/store/passwd", 5), undefined);
  assert.equal(read("/missing"), undefined);
  assert.equal(read("/store/passwd/x"), undefined);
});
