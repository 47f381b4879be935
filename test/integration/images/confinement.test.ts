// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { DOWNLOADER_ID, type JailIdentity, runJailed } from "../../../src/images/jail/run.ts";
import { IMAGE_ID_BASE } from "../../../src/images/jail/user-namespace.ts";
import { DEFAULT_LIMITS } from "../../../src/images/limits.ts";
import { prepareStore } from "../../../src/images/store/commit.ts";
import { withWorkspace } from "../../../src/images/workspace.ts";
import { type ProcessStatus, parseStatus } from "../../../src/linux/process-status.ts";
import type { RunResult } from "../../../src/linux/run.ts";
import { storeEntries, useImageStore, whyImagesCannotBeTested } from "../../support/image-store.ts";

const skip = whyImagesCannotBeTested();
const store = useImageStore();

interface Options {
  hasNetwork?: boolean;
  inputPath?: string;
  timeoutMs?: number;
}

function inJail(
  identity: JailIdentity,
  argv: readonly string[],
  options: Options = {},
): Promise<RunResult> {
  prepareStore();
  const { timeoutMs = 20_000, ...rest } = options;
  return withWorkspace((workspace) =>
    runJailed(argv, {
      identity,
      jailDirectory: workspace.jailDirectory,
      workDirectory:
        identity === "unpacker" ? workspace.unpackDirectory : workspace.downloadDirectory,
      limits: { ...DEFAULT_LIMITS, timeoutMs },
      ...rest,
    }),
  );
}

function shell(identity: JailIdentity, script: string, options: Options = {}): Promise<RunResult> {
  return inJail(identity, ["sh", "-c", script], options);
}

async function statusOf(identity: JailIdentity): Promise<Omit<ProcessStatus, "startTime">> {
  const { stdout } = await inJail(identity, ["cat", "/proc/self/status"]);
  return parseStatus(stdout);
}

test("the downloader has no capability, and no way to one", { skip }, async () => {
  const status = await statusOf("downloader");
  assert.deepEqual(status.uids, new Array(4).fill(DOWNLOADER_ID));
  assert.deepEqual(status.gids, new Array(4).fill(DOWNLOADER_ID));
  assert.deepEqual(status.groups, []);
  assert.deepEqual(new Set(Object.values(status.capabilities)), new Set([0n]));
  assert.equal(status.noNewPrivileges, true);
});

test("the unpacker is root of ids that mean nothing, for owners and modes alone", {
  skip,
}, async () => {
  const status = await statusOf("unpacker");
  assert.deepEqual(status.uids, [0, 0, 0, 0]);
  assert.deepEqual(status.groups, []);
  // chown 0, dac_override 1, fowner 3, fsetid 4, setfcap 31
  const allowed = (1n << 0n) | (1n << 1n) | (1n << 3n) | (1n << 4n) | (1n << 31n);
  const { bounding, permitted, effective, ambient, inheritable } = status.capabilities;
  assert.deepEqual([bounding, permitted, effective], [allowed, allowed, allowed]);
  assert.deepEqual([ambient, inheritable], [0n, 0n]);
  assert.equal(status.noNewPrivileges, true);
  const { stdout } = await inJail("unpacker", ["cat", "/proc/self/uid_map", "/proc/self/gid_map"]);
  assert.match(stdout, new RegExp(`^(\\s*0\\s+${IMAGE_ID_BASE}\\s+65536\\n){2}$`));
});

test("nothing of the host is there but programs", { skip }, async () => {
  const secret = store.path("secret");
  writeFileSync(secret, "secret");
  for (const [each, mode] of [
    [store.root, 0o755],
    [secret, 0o644],
  ] as const) {
    chmodSync(each, mode);
  }
  for (const identity of ["downloader", "reader", "unpacker"] as const) {
    const { stdout } = await shell(
      identity,
      `ls /; cat ${secret} /etc/shadow /etc/passwd /proc/1/root${secret} 2>/dev/null; ls /proc`,
    );
    const names = stdout.split("\n");
    for (const gone of ["home", "root", "run", "tmp", "var", "secret", String(process.pid)]) {
      assert.ok(!names.includes(gone), `${identity} sees ${gone}`);
    }
    assert.ok(!stdout.includes("secret"));
  }
});

test("nothing can be written to but the work directory", { skip }, async () => {
  for (const identity of ["downloader", "reader", "unpacker"] as const) {
    const { stdout } = await shell(
      identity,
      "for d in / /usr /usr/bin /dev /etc /proc /proc/sys/kernel /input /workspace; do " +
        "if (: >$d/new-file) 2>/dev/null; then echo $d; fi; done; " +
        "(echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo core_pattern; " +
        "mknod /workspace/disk b 254 0 2>/dev/null && echo node; " +
        "mount -t tmpfs none /workspace 2>/dev/null && echo mounted; " +
        "chroot /workspace true 2>/dev/null && echo chroot; true",
      { inputPath: store.root },
    );
    assert.equal(stdout, "/workspace\n", identity);
  }
});

test("only a download has the network", { skip }, async () => {
  const server = createServer((socket) => socket.end("hello"));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const script = `exec 2>/dev/null; bash -c 'cat </dev/tcp/127.0.0.1/${port}'`;
  try {
    assert.equal((await shell("downloader", script, { hasNetwork: true })).stdout, "hello");
    for (const identity of ["downloader", "reader", "unpacker"] as const) {
      assert.equal((await shell(identity, script)).stdout, "", identity);
    }
  } finally {
    server.close();
  }
});

test("a reader reads what only root may, of its input alone", { skip }, async () => {
  const path = store.path("private");
  writeFileSync(path, "for root's eyes");
  chmodSync(path, 0o600);
  assert.equal(
    (await inJail("reader", ["cat", "/input"], { inputPath: path })).stdout,
    "for root's eyes",
  );
  assert.equal((await inJail("downloader", ["cat", "/input"], { inputPath: path })).stdout, "");
});

test("a program that hangs goes with all its children", { skip }, async () => {
  const mark = `31${process.pid}`;
  for (const identity of ["downloader", "unpacker"] as const) {
    await assert.rejects(
      shell(identity, `setsid sleep ${mark} & sleep ${mark}`, { timeoutMs: 1_500 }),
      { code: "COMMAND_TIMEOUT" },
    );
  }
  const { stdout } = await shell("downloader", "echo alive");
  assert.equal(stdout, "alive\n");
  assert.deepEqual(runningWith(mark), []);
  assert.deepEqual(storeEntries("work"), []);
});

test("no mount of a jail is seen outside, or stays", { skip }, async () => {
  const ours = (): boolean => readFileSync("/proc/self/mountinfo", "utf8").includes(store.root);
  const running = shell("unpacker", "sleep 0.5");
  let wasSeen = false;
  const timer = setInterval(() => {
    wasSeen ||= ours();
  }, 20);
  await running;
  clearInterval(timer);
  assert.equal(wasSeen || ours(), false);
});

/** Command lines of processes that have this argument. */
function runningWith(word: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return "";
      }
    })
    .filter((line) => line.split("\0").includes(word));
}
