// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { openSync } from "node:fs";
import { test } from "node:test";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { step } from "../../../src/host/jail/step.ts";
import { SystemCallError } from "../../../src/linux/system-call.ts";

const ENOSPC = 28;

function failing(work: () => unknown): MukonError {
  try {
    step("show /lib", work);
  } catch (error) {
    if (error instanceof MukonError) return error;
  }
  return assert.fail("nothing has failed");
}

function fail(error: Error): never {
  throw error;
}

test("a jail that was not built as something has run out says what to make room for", () => {
  const disk = failing(() => fail(new SystemCallError("mount", ENOSPC)));
  assert.equal(disk.code, "JAIL_NOT_BUILT");
  assert.match(disk.hint ?? "", /make room/);
  const files = failing(() => fail(Object.assign(new Error("open"), { code: "EMFILE" })));
  assert.match(files.hint ?? "", /limit of open files/);
});

test("a jail that was not built for another reason says what it takes", () => {
  const missing = failing(() => openSync("/nonexistent/library", "r"));
  assert.match(missing.hint ?? "", /CAP_SYS_ADMIN/);
});
