// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { parseOciSpec } from "../../../src/guest-protocol/oci-spec.ts";
import { createLogger } from "../../../src/logging/logger.ts";
import { ContainerHooks } from "../../../src/shim/hooks/container-hooks.ts";

let directory: string;
let record: string;
let warnings: string[];
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-hooks-"));
  record = join(directory, "record");
  // Writes what it is called by, its arguments, its environment, its directory and its input.
  const script = `#!/bin/sh\n(printf '%s' "$0"; for one; do printf ' %s' "$one"; done; echo; env | sort; pwd; cat; echo) >> ${record}\n`;
  for (const name of ["hook", "other"]) {
    writeFileSync(join(directory, name), script);
    chmodSync(join(directory, name), 0o755);
  }
});
after(() => rmSync(directory, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(record, { force: true });
  warnings = [];
});

function hooksOf(hooks: object): ContainerHooks {
  const spec = parseOciSpec({ ociVersion: "1.1.0", annotations: { a: "b" }, hooks });
  const log = createLogger({ component: "test", sink: (line) => warnings.push(String(line)) });
  return new ContainerHooks({ id: "c1", bundle: directory, spec, log });
}

const path = () => join(directory, "hook");

test("a hook gets its arguments, its environment and no other, and the state; prestart comes first", async () => {
  const hooks = hooksOf({
    createRuntime: [{ path: "/bin/sh", args: ["own-name", "-c", `echo "$0 second" >> ${record}`] }],
    prestart: [{ path: path(), args: ["hook", "one", "two words"], env: ["X=1=2", "Y="] }],
  });
  assert.equal(hooks.areAny, true);
  await hooks.onCreate(77);
  const [call, ...rest] = readFileSync(record, "utf8").split("\n");
  assert.equal(call, `${path()} one two words`);
  const environment = rest.slice(0, rest.indexOf(directory));
  const set = environment.filter((line) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(line));
  assert.deepEqual(set, ["X=1=2", "Y="]);
  assert.deepEqual(JSON.parse(rest[rest.indexOf(directory) + 1] ?? ""), {
    ociVersion: "1.1.0",
    id: "c1",
    status: "creating",
    pid: 77,
    bundle: directory,
    annotations: { a: "b" },
  });
  assert.match(readFileSync(record, "utf8"), /second\n$/);
});

test("a program is called by the name that its arguments begin with", async () => {
  const script = "require('fs').writeFileSync(process.argv[1], process.argv0)";
  const args = ["libnetwork-setkey", "-e", script, record];
  await hooksOf({ prestart: [{ path: process.execPath, args }] }).onCreate(1);
  assert.equal(readFileSync(record, "utf8"), "libnetwork-setkey");
});

test("one that fails, hangs or is not there keeps the container from being made", async () => {
  const refused = [
    [
      { path: "/bin/sh", args: ["sh", "-c", "echo no address left >&2; exit 3"] },
      /no address left/,
    ],
    [{ path: "/bin/sleep", args: ["sleep", "60"], timeout: 1 }, /did not end within 1000 ms/],
    [{ path: "/nowhere/hook" }, /\/nowhere\/hook/],
  ] as const;
  for (const [hook, says] of refused) {
    const hooks = hooksOf({ createRuntime: [hook, { path: path() }] });
    await assert.rejects(hooks.onCreate(1), { code: "HOOK_FAILED", message: says });
    assert.ok(!existsSync(record), "none after it is run");
  }
});

test("one that fails after the start, or at the end, is a warning, and the next is run", async () => {
  const failing = { path: "/bin/false" };
  const hooks = hooksOf({
    poststart: [failing, { path: path() }],
    poststop: [failing, { path: path() }],
  });
  assert.equal(hooksOf({ startContainer: [failing] }).areAny, false);
  await hooks.onCreate(7);
  await hooks.onStarted(7);
  assert.match(readFileSync(record, "utf8"), /"status":"running","pid":7/);
  await hooks.onDeleted();
  assert.match(readFileSync(record, "utf8"), /"status":"stopped","bundle"/);
  assert.equal(warnings.length, 2);
  rmSync(record);
  await hooks.onDeleted();
  assert.ok(!existsSync(record), "an end is told once");
});

test("hooks for the end are run for what has begun, or was found dead", async () => {
  const poststop = [{ path: path() }];
  await hooksOf({ poststop }).onDeleted();
  assert.ok(!existsSync(record));
  await hooksOf({ poststop }).onFoundDead();
  assert.ok(existsSync(record));
});

test("a hook without an absolute path is refused with the spec", () => {
  for (const hook of [
    { path: "hook" },
    { path: "/h", timeout: 0 },
    { path: "/h", args: [7] },
    {},
  ]) {
    assert.throws(() => hooksOf({ poststop: [hook] }), { code: "OCI_SPEC_INVALID" });
  }
});
