// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, it } from "node:test";
import { openForVmm } from "../../../src/host/assets.ts";
import { isReachableByAll, programsDirectory, publishProgram } from "../../../src/host/programs.ts";
import { useTemporaryRoots } from "./roots.ts";

function makeFile(path: string, options: { mode: number; text?: string }): string {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, options.text ?? "contents");
  chmodSync(path, options.mode);
  return path;
}

describe("the directory of the programs", () => {
  it("is where the running one is, unless the environment says otherwise", () => {
    const saved = process.env.MUKON_PROGRAMS;
    process.env.MUKON_PROGRAMS = "/opt/mukon";
    assert.equal(programsDirectory(), "/opt/mukon");
    process.env.MUKON_PROGRAMS = "";
    assert.equal(programsDirectory(), dirname(process.argv[1] ?? ""));
    if (saved === undefined) delete process.env.MUKON_PROGRAMS;
    else process.env.MUKON_PROGRAMS = saved;
  });
});

describe("publishing a program", () => {
  const { root } = useTemporaryRoots();
  // Others may pass through the roots, as on a real host; not through `closed`.
  before(() => chmodSync(root(), 0o755));

  it("gives its own path when everybody can come to it", async () => {
    const path = makeFile(join(root(), "open/tool.cjs"), { mode: 0o644 });
    assert.equal(isReachableByAll(path), true);
    assert.equal(await publishProgram(path), path);
  });

  it("gives a copy of what lies in a closed directory, with koffi.node beside it", async () => {
    const path = makeFile(join(root(), "closed/keeper.cjs"), { mode: 0o600, text: "one" });
    makeFile(join(root(), "closed/koffi.node"), { mode: 0o644, text: "native" });
    chmodSync(dirname(path), 0o700);
    const copy = await publishProgram(path);
    assert.notEqual(copy, path);
    assert.equal(readFileSync(copy, "utf8"), "one");
    assert.equal(readFileSync(join(dirname(copy), "koffi.node"), "utf8"), "native");
    assert.equal(isReachableByAll(copy), true);
    assert.equal(statSync(copy).mode & 0o222, 0);
    assert.equal(await publishProgram(path), copy);
  });

  it("gives another copy once the program has changed", async () => {
    const path = join(root(), "closed/keeper.cjs");
    const old = await publishProgram(path);
    writeFileSync(path, "two");
    const fresh = await publishProgram(path);
    assert.notEqual(fresh, old);
    assert.equal(readFileSync(old, "utf8"), "one");
    assert.equal(readFileSync(fresh, "utf8"), "two");
  });

  it("does not open anything else", () => {
    assert.equal(statSync(join(root(), "run")).mode & 0o066, 0);
    assert.equal(existsSync(join(root(), "state/programs")), false);
  });

  it("keeps executables executable", async () => {
    const path = makeFile(join(root(), "closed/tool"), {
      mode: 0o700,
      text: "#!/bin/sh\necho it runs\n",
    });
    const copy = await publishProgram(path);
    assert.equal(spawnSync(copy, { encoding: "utf8" }).stdout, "it runs\n");
  });

  it("says so when there is no place that others can reach", async () => {
    chmodSync(root(), 0o700);
    try {
      await assert.rejects(publishProgram(join(root(), "closed/keeper.cjs")), {
        code: "PROGRAM_UNREACHABLE",
      });
    } finally {
      chmodSync(root(), 0o755);
    }
  });

  it("says so when there is no such program", async () => {
    await assert.rejects(publishProgram(join(root(), "none")), { code: "PROGRAM_NOT_FOUND" });
  });
});

describe("files for the VMM", () => {
  const { root } = useTemporaryRoots();

  function readAndClose(fd: number): { text: string; inode: number } {
    try {
      return { text: readFileSync(`/proc/self/fd/${fd}`, "utf8"), inode: fstatSync(fd).ino };
    } finally {
      closeSync(fd);
    }
  }

  it("are opened themselves when all may read them, even in a closed directory", () => {
    const path = makeFile(join(root(), "guest/vmlinux"), { mode: 0o444 });
    chmodSync(dirname(path), 0o700);
    assert.equal(readAndClose(openForVmm(path, { gid: 5001 })).inode, statSync(path).ino);
  });

  it("are copied when root alone may, and keep their mode", () => {
    const path = makeFile(join(root(), "guest/secret"), { mode: 0o600, text: "kernel" });
    const copy = readAndClose(openForVmm(path, { gid: 5001 }));
    assert.equal(copy.text, "kernel");
    assert.notEqual(copy.inode, statSync(path).ino);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("are refused when they are no files", () => {
    const fifo = join(root(), "guest/fifo");
    assert.equal(spawnSync("mkfifo", [fifo]).status, 0);
    for (const path of [fifo, join(root(), "guest"), "/dev/null", join(root(), "none")]) {
      assert.throws(() => openForVmm(path, { gid: 5001 }), { code: "ASSET_INVALID" });
    }
  });
});
