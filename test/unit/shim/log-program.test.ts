// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parseBinaryUri, startLogProgram } from "../../../src/shim/task/log-program.ts";
import { openStreams } from "../../../src/shim/task/stdio.ts";

let directory: string;
before(() => {
  directory = mkdtempSync(join(tmpdir(), "mukon-log-"));
});
after(() => rmSync(directory, { recursive: true, force: true }));

const request = { containerId: "c1", namespace: "ns" };

function program(name: string, script: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!/bin/bash\n${script}\n`);
  chmodSync(path, 0o755);
  return `binary://${path}`;
}

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("the program of an output gets arguments, two inputs, and an environment of two variables", async () => {
  const out = join(directory, "out");
  const uri = program(
    "whole",
    `printf '%s\\n' "$@" > ${out}.args; tr '\\0' '\\n' < /proc/$$/environ > ${out}.env; exec 5>&-
     cat <&3 > ${out}.1 & cat <&4 > ${out}.2; wait`,
  );
  const before = openDescriptors();
  const streams = `${uri}?path=/a%20b&flag&path=other`;
  const open = await openStreams(
    { stdin: "", stdout: streams, stderr: streams, terminal: false },
    request,
  );
  assert.deepEqual(open.stdio, { terminal: false, stdin: false, stdout: true, stderr: true });
  const [stdout = -1, stderr = -1] = open.descriptors;
  writeSync(stdout, "to stdout");
  writeSync(stderr, "to stderr");
  open.close();
  await open.logProgram?.end();
  assert.equal(readFileSync(`${out}.1`, "utf8"), "to stdout");
  assert.equal(readFileSync(`${out}.2`, "utf8"), "to stderr");
  assert.equal(readFileSync(`${out}.args`, "utf8"), "path\n/a b\nflag\n\n");
  assert.equal(
    readFileSync(`${out}.env`, "utf8").trim().split("\n").sort().join(" "),
    "CONTAINER_ID=c1 CONTAINER_NAMESPACE=ns",
  );
  // Fewer is fine: what an earlier test was done with may be closed late.
  assert.ok(openDescriptors() <= before);
});

test("a terminal's program has one input, which ends, and one that is empty", async () => {
  const out = join(directory, "terminal");
  const uri = program("tty", `exec 5>&-; cat <&4 >> ${out}; cat <&3 >> ${out}`);
  const open = await openStreams(
    { stdin: "", stdout: uri, stderr: "", terminal: true },
    { ...request },
  );
  assert.equal(open.descriptors.length, 1);
  writeSync(open.descriptors[0] ?? -1, "screen");
  open.close();
  await open.logProgram?.end();
  assert.equal(readFileSync(out, "utf8"), "screen");
});

test("a program that does not end with its input is told to", async () => {
  const out = join(directory, "stubborn");
  const uri = program(
    "stay",
    `trap 'echo told > ${out}; exit' TERM; exec 5>&-; while :; do sleep 0.05; done`,
  );
  const { stdoutFd, stderrFd, end } = await startLogProgram({ ...request, uri });
  for (const fd of [stdoutFd, stderrFd]) closeSync(fd);
  await end();
  assert.equal(readFileSync(out, "utf8"), "told\n");
});

test("a program that is missing, fails, or is asked for wrongly is named, and leaves no descriptor", async () => {
  const before = openDescriptors();
  const fails = program("fails", "exit 3");
  const cases: [uri: string, message: RegExp][] = [
    [`binary://${directory}/none`, /ENOENT/],
    [fails, /exit code 3/],
    ["binary://host/bin/true", /not absolute/],
    ["binary:relative", /not absolute/],
    ["binary:///bin/%ff", /no URI/],
  ];
  for (const [uri, message] of cases) {
    await assert.rejects(startLogProgram({ ...request, uri }), { code: "STDIO_UNUSABLE", message });
  }
  await assert.rejects(
    openStreams(
      { stdin: "", stdout: fails, stderr: "binary:///bin/true", terminal: false },
      request,
    ),
    { code: "STDIO_UNSUPPORTED" },
  );
  // Fewer is fine: what an earlier test was done with may be closed late.
  assert.ok(openDescriptors() <= before);
  assert.deepEqual(parseBinaryUri("binary:///bin/cat"), ["/bin/cat", []]);
});
