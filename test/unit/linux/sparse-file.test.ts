// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sizedMemory } from "../../../src/linux/memory-file.ts";
import { copyExtents, dataExtents, sha256OfExtents } from "../../../src/linux/sparse-file.ts";

const MIB = 1024 * 1024;
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** A file of so many MiB that has data at the beginning of each that is named. */
function sparse(context: TestContext, sizeMib: number, data: readonly number[]): number {
  const directory = mkdtempSync(join(tmpdir(), "mukon-sparse-"));
  const fd = openSync(join(directory, "file"), "w+");
  context.after(() => {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  });
  ftruncateSync(fd, sizeMib * MIB);
  for (const mib of data) writeSync(fd, `data at ${mib} MiB`, mib * MIB);
  return fd;
}

function memory(context: TestContext, sizeMib: number): number {
  const fd = sizedMemory(sizeMib * MIB, { name: "test", owner });
  context.after(() => closeSync(fd));
  return fd;
}

function textAt(fd: number, mib: number): string {
  const buffer = Buffer.alloc(32);
  readSync(fd, buffer, 0, buffer.length, mib * MIB);
  return buffer.toString().replace(/\0+$/, "");
}

test("a copy has the data at its places, and takes no room for the rest", async (context) => {
  const from = sparse(context, 64, [0, 3, 60]);
  const to = memory(context, 64);
  await copyExtents(from, to);
  assert.deepEqual(
    [0, 1, 3, 60].map((mib) => textAt(to, mib)),
    ["data at 0 MiB", "", "data at 3 MiB", "data at 60 MiB"],
  );
  assert.ok(fstatSync(to).blocks * 512 < MIB, "the holes were filled");
});

test("parts with small gaps between them count as one; an empty file has none", (context) => {
  const fd = sparse(context, 64, [0, 3, 60]);
  const starts = (gapBytes?: number): number[] =>
    [...dataExtents(fd, gapBytes)].map(({ offset }) => offset / MIB);
  assert.deepEqual(starts(), [0, 3, 60]);
  assert.deepEqual(starts(4 * MIB), [0, 60]);
  assert.deepEqual(starts(100 * MIB), [0]);
  assert.deepEqual([...dataExtents(sparse(context, 64, []))], []);
  assert.deepEqual([...dataExtents(sparse(context, 0, []))], []);
});

test("data at another place, or other data, makes another hash", async (context) => {
  const hash = async (data: number[]): Promise<string> =>
    sha256OfExtents(sparse(context, 64, data));
  assert.equal(await hash([1, 5]), await hash([1, 5]));
  const moved = sparse(context, 64, [1]);
  writeSync(moved, "data at 5 MiB", 6 * MIB);
  assert.notEqual(await sha256OfExtents(moved), await hash([1, 5]));
  assert.notEqual(await hash([1]), await hash([1, 5]));
});

test("memory of a fixed size stays so, is its owner's alone, and opens again by its path", (context) => {
  const fd = memory(context, 1);
  for (const size of [0, 2 * MIB]) {
    assert.throws(() => ftruncateSync(fd, size), { code: "EPERM" }, `${size}`);
  }
  const status = statSync(`/proc/self/fd/${fd}`);
  assert.deepEqual([status.mode & 0o777, status.uid, status.size], [0o600, owner.uid, MIB]);
  const again = openSync(`/proc/self/fd/${fd}`, "r+");
  writeSync(again, "seen", 0);
  assert.equal(textAt(fd, 0), "seen");
  closeSync(again);
});

test("what cannot be copied is told, with the kernel's reason", async (context) => {
  const from = sparse(context, 1, [0]);
  const to = openSync("/dev/full", "w");
  context.after(() => closeSync(to));
  await assert.rejects(copyExtents(from, to), { code: "SYSTEM_CALL_FAILED" });
});
