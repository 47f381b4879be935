// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseCalls } from "../../support/kill/calls.ts";
import { JOURNALLED_STEPS } from "../../support/kill/steps.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const ENTRY = /\.append\(\{\s*type: "([a-z]+)"/g;

/** Each place in the sources that writes into a journal: its file, and the type of the entry. */
function entriesInSources(): string[] {
  return readdirSync(join(ROOT, "src"), { recursive: true })
    .map((name) => join("src", String(name)))
    .filter((path) => path.endsWith(".ts"))
    .flatMap((path) => {
      const text = readFileSync(join(ROOT, path), "utf8");
      const types = [...text.matchAll(ENTRY)].map(([, type]) => `${path}: ${type}`);
      const calls = [...text.matchAll(/journal\.append\(/g)].length;
      assert.equal(types.length, calls, `${path}: an entry of which the type cannot be seen here`);
      return types;
    })
    .sort();
}

test("no step that is in the journal is left out by the tests that kill at each of them", () => {
  const killedAt = Object.entries(JOURNALLED_STEPS).flatMap(([path, steps]) => {
    const types = new Set(steps.map((step) => step.split(" ")[0]));
    return [...types].map((type) => `${path}: ${type}`);
  });
  assert.deepEqual(entriesInSources(), killedAt.sort());
});

test("what strace writes down is counted by name, and entries are recognised", () => {
  const calls = parseCalls(
    [
      'write(4, "\\1\\0", 8) = 8',
      'write(20, "{\\"type\\":\\"process\\",\\"role\\":\\"vmm\\",\\"pid\\":1}\\n", 63 <unfinished ...>',
      'mkdir("/run/x", 0700)    = 0',
      'openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3',
      'mkdir("/run/y", 0700) = -1 ENOSPC (No space left on device) (INJECTED)',
      "+++ killed by SIGKILL +++",
    ].join("\n"),
  );
  assert.deepEqual(
    calls.map(({ name, count, entry, isInjected }) => [name, count, entry, isInjected]),
    [
      ["write", 2, "process vmm", false],
      ["mkdir", 1, undefined, false],
      ["mkdir", 2, undefined, true],
    ],
  );
});
