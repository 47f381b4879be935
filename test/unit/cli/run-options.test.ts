// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkRunOptions } from "../../../src/cli/commands/run-options.ts";

test("nothing given: attached, kept, no terminal said", () => {
  const options = checkRunOptions({});
  assert.equal(options.detach, false);
  assert.equal(options.removeAtExit, false);
  assert.equal(options.terminal, undefined);
  assert.equal(options.pull, "missing");
});

test("annotations keep '=' in their values", () => {
  const options = checkRunOptions({ annotation: ["a.b/c=d=e"] });
  assert.deepEqual(options.annotations, { "a.b/c": "d=e" });
});

test("each wrong value is refused, naming its option", () => {
  const wrong: [string, Parameters<typeof checkRunOptions>[0]][] = [
    ["--memory", { memory: "lots" }],
    ["--cpus", { cpus: "0" }],
    ["--workdir", { workdir: "relative" }],
    ["--hostname", { hostname: "no spaces" }],
    ["--annotation", { annotation: ["novalue"] }],
    ["--pull", { pull: "sometimes" }],
    ["--hypervisor", { hypervisor: "xen" }],
    ["--timeout", { timeout: "never" }],
    ["container name", { name: "../escape" }],
  ];
  for (const [option, raw] of wrong) {
    assert.throws(
      () => checkRunOptions(raw),
      { code: "USAGE", message: new RegExp(option) },
      option,
    );
  }
});
