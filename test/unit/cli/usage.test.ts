// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { usage } from "../../../src/cli/io/quantities.ts";
import { makeProgram } from "../../../src/cli/program.ts";
import { explainUsage } from "../../../src/cli/usage.ts";
import { MukonError } from "../../../src/errors/mukon-error.ts";

function explained(error: unknown, ...words: string[]): MukonError {
  const result = explainUsage(error, makeProgram(), words);
  assert.ok(result instanceof MukonError);
  return result;
}

test("the hint names the innermost command that is known", () => {
  const error = usage("--memory", "lots", "a size");
  assert.equal(explained(error, "run", "--memory").hint, "see: mukon run --help");
  assert.equal(explained(error, "image", "pull", "x").hint, "see: mukon image pull --help");
  assert.equal(explained(error, "frobnicate", "run").hint, "see: mukon --help");
  assert.match(explained(error).message, /--memory: "lots" is not a size/);
});

test("what commander finds wrong becomes one line of ours", async () => {
  const program = makeProgram();
  const words = ["rn", "busybox"];
  const error = await program.parseAsync(words, { from: "user" }).catch((cause) => cause);
  const result = explained(error, ...words);
  assert.equal(result.code, "USAGE");
  assert.match(result.message, /^unknown command 'rn' \(Did you mean .*run\?\)$/);
});

test("hints that are there already, and other failures, stay as they are", () => {
  const hinted = new MukonError("USAGE", "no", { hint: "do this" });
  const other = new Error("other");
  assert.equal(explainUsage(hinted, makeProgram(), ["run"]), hinted);
  assert.equal(explainUsage(other, makeProgram(), ["run"]), other);
});
