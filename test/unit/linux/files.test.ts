// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeFileAtomic } from "../../../src/linux/atomic-file.ts";
import { openFifoForReading, openFifoForWriting } from "../../../src/linux/fifo.ts";
import { withLock } from "../../../src/linux/lock.ts";
import { sealedCopy } from "../../../src/linux/memory-file.ts";
import { listMounts, unmount } from "../../../src/linux/mounts.ts";
import { sandboxDirectory } from "../../../src/linux/paths.ts";
import { run } from "../../../src/linux/run.ts";

function directory(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "mukon-linux-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function fifo(context: TestContext): Promise<string> {
  const path = join(directory(context), "fifo");
  await run(["mkfifo", path]);
  return path;
}

function read(fd: number): string {
  const buffer = Buffer.alloc(64);
  return buffer.toString("utf8", 0, readSync(fd, buffer));
}

test("a FIFO for writing opens without a reader, and keeps what is written for one", async (context) => {
  const path = await fifo(context);
  const writeFd = openFifoForWriting(path);
  writeSync(writeFd, "early");
  const client = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  assert.equal(read(client), "early");
  closeSync(writeFd);
  assert.equal(read(client), "", "the client sees the end");
  closeSync(client);
});

test("a FIFO for reading ends when its holder is closed, not when a client goes", async (context) => {
  const path = await fifo(context);
  const { readFd, holderFd } = openFifoForReading(path);
  const client = openSync(path, "w");
  writeSync(client, "typed");
  closeSync(client);
  assert.equal(read(readFd), "typed");
  assert.throws(() => read(readFd), { code: "EAGAIN" });
  closeSync(holderFd);
  assert.equal(read(readFd), "");
  closeSync(readFd);
});

test("what is no FIFO is refused", (context) => {
  const path = join(directory(context), "file");
  writeFileSync(path, "");
  for (const open of [openFifoForReading, openFifoForWriting]) {
    assert.throws(() => open(path), { code: "FIFO_INVALID" });
  }
});

test("nobody can change a sealed copy, and anybody handed it can read it by its path", (context) => {
  const path = join(directory(context), "kernel");
  const content = Buffer.alloc(3_000_000, "kernel");
  writeFileSync(path, content, { mode: 0o600 });
  const source = openSync(path, "r");
  const copy = sealedCopy(source, "kernel");
  const copyPath = `/proc/self/fd/${copy}`;
  assert.ok(readFileSync(copyPath).equals(content));
  assert.equal(statSync(copyPath).mode & 0o777, 0o444);
  assert.throws(() => writeSync(copy, "x", 0), { code: "EBADF" });
  assert.throws(() => writeFileSync(copyPath, "x"), { code: /EPERM|EACCES/ });
  writeFileSync(path, "changed");
  assert.ok(readFileSync(copyPath).equals(content));
  for (const fd of [source, copy]) closeSync(fd);
});

test("a lock lets one in at a time, and is given back after a failure", async (context) => {
  const path = join(directory(context), "lock");
  const events: string[] = [];
  const work = (name: string) => async (): Promise<void> => {
    events.push(`${name} in`);
    await sleep(30);
    events.push(`${name} out`);
  };
  await Promise.all([withLock(path, work("a")), withLock(path, work("b"))]);
  const order = events.map((event) => event.split(" ")[1]);
  assert.deepEqual(order, ["in", "out", "in", "out"]);
  await assert.rejects(
    withLock(path, () => Promise.reject(new Error("failed"))),
    /failed/,
  );
  assert.equal(await withLock(path, () => 7), 7);
});

test("a lock that is held for too long is an error that names it", async (context) => {
  const path = join(directory(context), "lock");
  await withLock(path, async () => {
    const second = withLock(path, () => 1, { timeoutMs: 50 });
    await assert.rejects(second, { code: "LOCK_TIMEOUT", message: new RegExp(path) });
  });
});

test("a file is replaced as a whole, with the mode asked for, or not at all", (context) => {
  const parent = directory(context);
  const path = join(parent, "state.json");
  const umask = process.umask(0o077);
  try {
    writeFileAtomic(path, "one", { mode: 0o644 });
  } finally {
    process.umask(umask);
  }
  writeFileAtomic(path, "two", { mode: 0o644 });
  assert.equal(readFileSync(path, "utf8"), "two");
  assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.throws(() => writeFileAtomic(parent, "three", { mode: 0o600 }));
  assert.deepEqual(readdirSync(parent), ["state.json"]);
});

test("mounts, with blanks in their paths", () => {
  const text =
    "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - ext4 /dev/x\\134y rw\n" +
    "37 35 0:5 / /proc rw,nosuid - proc proc rw\nbroken\n";
  assert.deepEqual(listMounts(text), [
    {
      mountPoint: "/mnt/a b",
      fileSystem: "ext4",
      source: "/dev/x\\y",
      options: ["rw", "noatime"],
      superOptions: ["rw"],
    },
    {
      mountPoint: "/proc",
      fileSystem: "proc",
      source: "proc",
      options: ["rw", "nosuid"],
      superOptions: ["rw"],
    },
  ]);
  assert.ok(listMounts().some((mount) => mount.mountPoint === "/"));
  assert.equal(unmount("/nowhere"), false);
});

test("a sandbox key cannot leave its directory", () => {
  assert.match(sandboxDirectory("k8s.io..abc"), /\/sandboxes\/k8s\.io\.\.abc$/);
  for (const key of ["", ".", "..", "../x", "a/b", "a\0b", "-x", "x".repeat(300)]) {
    assert.throws(() => sandboxDirectory(key), { code: "SANDBOX_KEY_INVALID" });
  }
});
