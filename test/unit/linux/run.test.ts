// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { run } from "../../../src/linux/run.ts";

const node = process.execPath;

test("output, input and exit code of a program", async () => {
  const result = await run(["sh", "-c", "cat; echo trouble >&2"], { input: "hello" });
  assert.deepEqual(result, { code: 0, signal: null, stdout: "hello", stderr: "trouble\n" });
});

test("no argument is read by a shell", async () => {
  const { stdout } = await run(["echo", "$(id)", "; rm -rf x", "*"]);
  assert.equal(stdout, "$(id) ; rm -rf x *\n");
});

test("the environment is empty but for PATH", async () => {
  process.env.MUKON_TEST_SECRET = "1";
  try {
    const { stdout } = await run(["env"], { env: { LANG: "C" } });
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    assert.deepEqual(names.sort(), ["LANG", "PATH"]);
  } finally {
    delete process.env.MUKON_TEST_SECRET;
  }
});

test("a failure carries what the program said", async () => {
  await assert.rejects(run(["sh", "-c", "echo no space >&2; exit 3"]), (error: MukonError) => {
    assert.equal(error.code, "COMMAND_FAILED");
    assert.match(error.message, /exit code 3: no space/);
    assert.equal(error.details?.code, 3);
    return true;
  });
  const { code } = await run(["sh", "-c", "exit 3"], { allowFailure: true });
  assert.equal(code, 3);
});

test("a missing program names its package", async () => {
  await assert.rejects(run(["skopeo"], { env: { PATH: "/nowhere" } }), {
    code: "COMMAND_NOT_FOUND",
    hint: "install it: apt-get install skopeo",
  });
  await assert.rejects(run(["true"], { cwd: "/nowhere" }), { code: "COMMAND_FAILED" });
});

test("a program that hangs is killed, also when a child of it keeps its output open", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-run-"));
  const pidFile = join(directory, "pid");
  const begin = Date.now();
  try {
    const script = `sleep 60 & echo $! > ${pidFile}; sleep 60`;
    const hanging = run(["sh", "-c", script], { timeoutMs: 500 });
    await assert.rejects(hanging, { code: "COMMAND_TIMEOUT" });
    assert.ok(Date.now() - begin < 20_000, "waited for the grandchild");
  } finally {
    process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

test("a program that prints without end is killed", async () => {
  await assert.rejects(run(["yes"], { maxOutputBytes: 100_000 }), {
    code: "COMMAND_OUTPUT_TOO_LONG",
  });
});

test("a program can be stopped, before and while it runs", async () => {
  const controller = new AbortController();
  const hanging = run(["sleep", "7"], { signal: controller.signal });
  controller.abort();
  await assert.rejects(hanging, { code: "COMMAND_ABORTED" });
  await assert.rejects(run(["sleep", "7"], { signal: controller.signal }), {
    code: "COMMAND_ABORTED",
  });
});

test("descriptors that are handed on are 3 and up in the program", async () => {
  const descriptor = openSync("/proc/self/comm", "r");
  try {
    const script = "process.stdout.write(require('fs').readFileSync(3, 'utf8'))";
    const { stdout } = await run([node, "-e", script], { descriptors: [descriptor] });
    assert.match(stdout, /^.+\n$/);
  } finally {
    closeSync(descriptor);
  }
});

test("no program at all is an error of ours", async () => {
  await assert.rejects(run([]), MukonError);
});
