// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sealedCopy } from "../../../src/linux/memory-file.ts";
import { listMounts, unmount } from "../../../src/linux/mounts.ts";
import { killProcess } from "../../../src/linux/pidfd.ts";
import { readProcessStatus } from "../../../src/linux/process-status.ts";
import { run } from "../../../src/linux/run.ts";

const skip = process.getuid?.() === 0 ? false : "needs root: it mounts, and changes user ids";
const UID = 0x7000_0001;
const CONFINED = [
  "setpriv",
  ...[`--reuid=${UID}`, `--regid=${UID}`, "--clear-groups", "--no-new-privs"],
  ...["--inh-caps=-all", "--bounding-set=-all", "--"],
];

test("a file of root reaches an unprivileged process as a sealed copy", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-linux-"));
  const path = join(directory, "kernel");
  writeFileSync(path, "vmlinux", { mode: 0o600 });
  const source = openSync(path, "r");
  const copy = sealedCopy(source, "kernel");
  try {
    const options = { descriptors: [copy] };
    const read = await run([...CONFINED, "cat", "/proc/self/fd/3"], options);
    assert.equal(read.stdout, "vmlinux");
    const script = "echo changed > /proc/self/fd/3; echo changed >&3; true";
    const { stderr } = await run([...CONFINED, "sh", "-c", script], options);
    assert.equal(stderr.trim().split("\n").length, 2, stderr);
    // Not even root can: the seals are the file's, not the descriptor's.
    assert.throws(() => writeFileSync(`/proc/self/fd/${copy}`, "x"), { code: "EPERM" });
    assert.equal(readFileSync(`/proc/self/fd/${copy}`, "utf8"), "vmlinux");
  } finally {
    for (const fd of [source, copy]) closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});

test("facts of a confined process are told as they are", { skip }, async () => {
  const [program = "", ...args] = [...CONFINED, "sh", "-c", "echo ready; exec sleep 60"];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  await once(child.stdout, "data");
  const status = readProcessStatus(child.pid ?? 0);
  const exit = once(child, "exit");
  assert.ok(status !== undefined && killProcess(status, "SIGKILL"));
  await exit;
  assert.deepEqual(status.uids, [UID, UID, UID, UID]);
  assert.deepEqual(status.gids, [UID, UID, UID, UID]);
  assert.deepEqual(status.groups, []);
  assert.deepEqual([...new Set(Object.values(status.capabilities))], [0n]);
  assert.equal(status.noNewPrivileges, true);
});

test("a mount goes once, and never by way of a symbolic link", { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-linux-"));
  const target = join(directory, "with blank");
  const link = join(directory, "link");
  const isMounted = (): boolean => listMounts().some((mount) => mount.mountPoint === target);
  mkdirSync(target);
  symlinkSync(target, link);
  try {
    await run(["mount", "-t", "tmpfs", "none", target]);
    assert.equal(isMounted(), true);
    assert.equal(unmount(link, { lazy: true }), false);
    assert.equal(isMounted(), true);
    assert.equal(unmount(target), true);
    assert.equal(unmount(target), false);
    assert.equal(isMounted(), false);
  } finally {
    unmount(target, { lazy: true });
    rmSync(directory, { recursive: true });
  }
});
