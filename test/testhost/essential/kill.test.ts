// SPDX-License-Identifier: Apache-2.0
// The test host itself, killed: this machine must be as it was, but for the cache directory.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TestHost } from "../host.ts";
import { REPOSITORY } from "../shared-disks.ts";

const PROGRAM = join(REPOSITORY, "scripts", "testhost");
const DEADLINE_MS = 5 * 60_000;
const root = mkdtempSync(join(tmpdir(), "mukon-testhost-"));
after(() => rmSync(root, { recursive: true, force: true }));

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(PROGRAM, args, { stdio: "ignore", env: { ...process.env, ...env } });
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!isTrue()) {
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await sleep(100);
  }
}

/** Processes whose command line names a path. */
function processesOf(path: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(path);
    } catch {
      return false;
    }
  });
}

test("a build that is killed leaves no process and no mount", async () => {
  const build = start(["build"], { MUKON_STATE_ROOT: root });
  const cache = join(root, "testhost");
  const isUnpacking = (): boolean =>
    existsSync(cache) &&
    readdirSync(cache).some((name) => existsSync(join(cache, name, "work/tree/usr/bin")));
  await until("packages are unpacked", isUnpacking);
  build.kill("SIGKILL");
  await until("all its processes end", () => processesOf(root).length === 0);
  assert.ok(!readFileSync("/proc/self/mounts", "utf8").includes(root));
});

test("the host of one command ends with who asked for it", async () => {
  assert.equal(TestHost.current(), undefined, "a test host is up: scripts/testhost down");
  const child = start(["run", "sleep", "1000"]);
  await until("the host runs", () => TestHost.current() !== undefined);
  const host = TestHost.current();
  child.kill("SIGKILL");
  await until("it is gone", () => TestHost.current() === undefined);
  assert.ok(host);
});
