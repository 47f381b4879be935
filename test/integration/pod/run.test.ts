// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { release } from "node:os";
import { after, before, test } from "node:test";
import { mukon } from "../../support/mukon.ts";
import { ARE_CLONED, PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
before(async () => {
  world = new PodWorld();
  await world.restoreTemplate();
});
after(() => world.end());

test("a container's output, its errors and its exit code come back, from another kernel", async () => {
  const result = await mukon([
    "run",
    "--rm",
    "busybox",
    "sh",
    "-c",
    "uname -r; echo oops >&2; exit 7",
  ]);
  assert.equal(result.code, 7, result.stderr);
  assert.notEqual(result.stdout.trim(), release());
  assert.match(result.stdout, /^\d+\.\d+\./);
  assert.match(result.stderr, /oops\n$/);
});

test("pods start in the way that these tests are run; emulation, where KVM does not work, is said aloud", async () => {
  const { state, outcome } = await world.start("test-aloud", ["busybox", "sleep", "1000"]);
  const isSaid = /accelerator tcg: the VM is emulated.*\n {2}why: KVM .+\n/.test(outcome.stderr);
  assert.equal(isSaid, state.accelerator === "tcg", outcome.stderr);
  assert.equal(state.template !== undefined, ARE_CLONED, "not as MUKON_TEST_START says");
  assert.equal((await mukon(["rm", "-f", "test-aloud"])).code, 0);
});

test("standard input reaches the container, and its end too", async () => {
  const result = await mukon(["run", "--rm", "-i", "busybox", "sha256sum"], { input: "hello\n" });
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /^5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03/);
});

test("environment, working directory, user, host name and a read-only root are as asked for", async () => {
  const script = 'echo "$A|$PWD|$(id -u):$(id -g)|$(hostname)"; touch /x';
  const options = [
    "-e",
    "A=b c",
    "-w",
    "/tmp",
    "-u",
    "1000:100",
    "--hostname",
    "here",
    "--read-only",
  ];
  const result = await mukon(["run", "--rm", ...options, "busybox", "sh", "-c", script]);
  assert.equal(result.stdout, "b c|/tmp|1000:100|here\n", result.stderr);
  assert.match(result.stderr, /Read-only file system/);
  assert.equal(result.code, 1);
});

test("a command that is not there, or is no program, ends as a shell says it: 127, 126", async () => {
  const missing = await mukon(["run", "--rm", "busybox", "/no/such/program"]);
  assert.equal(missing.code, 127);
  assert.match(missing.stderr, /no\/such\/program.*\[CONTAINER_PROGRAM_NOT_FOUND\]\n {2}hint: /);
  const noProgram = await mukon(["run", "--rm", "busybox", "/etc/passwd"]);
  assert.equal(noProgram.code, 126);
  assert.match(noProgram.stderr, /\/etc\/passwd.*\[CONTAINER_PROGRAM_NOT_EXECUTABLE\]\n {2}hint: /);
});

test("a scratch disk takes what the container writes", async () => {
  const script =
    "dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null && df -m / | tail -1 | awk '{print $2}'";
  const result = await mukon(["run", "--rm", "--scratch", "1g", "busybox", "sh", "-c", script]);
  assert.equal(result.code, 0, result.stderr);
  assert.ok(Number(result.stdout) > 800 && Number(result.stdout) <= 1024, result.stdout);
});

test("a shell whose umask lets nobody else read changes nothing", async () => {
  const strict = ["sh", "-c", 'umask 077; exec "$@"', "sh"];
  const { code, stdout, stderr } = await mukon(["run", "--rm", "busybox", "echo", "there"], {
    under: strict,
  });
  assert.deepEqual([code, stdout], [0, "there\n"], stderr);
});
