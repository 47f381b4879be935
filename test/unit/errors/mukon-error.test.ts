// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { asMukonError, formatError, MukonError } from "../../../src/errors/mukon-error.ts";

test("people read what happened, the code, and what to do next", () => {
  const error = new MukonError("DISK_FULL", "no room in /run", { hint: "free some" });
  assert.equal(formatError(error), "no room in /run [DISK_FULL]\n  hint: free some");
});

test("a foreign failure keeps its message and its cause", () => {
  const cause = new TypeError("odd");
  const error = asMukonError(cause);
  assert.equal(error.code, "INTERNAL");
  assert.equal(error.message, "odd");
  assert.equal(error.cause, cause);
  assert.equal(asMukonError(error), error);
  assert.equal(asMukonError("text").message, "text");
});

test("what a host runs out of has a code of its own, and a hint", () => {
  const codes = { ENOSPC: "DISK_FULL", EMFILE: "FILES_EXHAUSTED", ENFILE: "FILES_EXHAUSTED" };
  for (const [name, code] of Object.entries({ ...codes, ENOMEM: "MEMORY_EXHAUSTED" })) {
    const error = asMukonError(Object.assign(new Error(`${name}: …`), { code: name }));
    assert.equal(error.code, code);
    assert.ok((error.hint ?? "").length > 0);
  }
});
