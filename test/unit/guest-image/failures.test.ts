// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { explainFailure, requireFreeSpace } from "../../../guest/image/failures.ts";
import { MukonError } from "../../../src/errors/mukon-error.ts";

const running = new AbortController().signal;

test("too little free space fails before the work starts", () => {
  assert.throws(() => requireFreeSpace(tmpdir(), Number.MAX_SAFE_INTEGER), {
    code: "GUEST_DISK_FULL",
    hint: /Free some space/,
  });
  requireFreeSpace(tmpdir(), 1);
});

const full: unknown[] = [
  Object.assign(new Error("write failed"), { code: "ENOSPC" }),
  new Error("wrapped", { cause: Object.assign(new Error("x"), { code: "EDQUOT" }) }),
  new MukonError("COMMAND_FAILED", "dpkg-deb ended with code 2", {
    details: { stderr: "tar: ./x: Cannot write: No space left on device" },
  }),
];

for (const error of full) {
  test(`a full disk is told as such: ${String(error)}`, () => {
    const told = explainFailure(error, "/state", running);
    assert.ok(told instanceof MukonError);
    assert.equal(told.code, "GUEST_DISK_FULL");
    assert.match(told.message, /\/state/);
  });
}

test("an aborted build is told as interrupted, whatever failed because of it", () => {
  const told = explainFailure(new Error("killed"), "/state", AbortSignal.abort());
  assert.ok(told instanceof MukonError && told.code === "GUEST_BUILD_INTERRUPTED");
});

test("any other failure stays what it is", () => {
  const error = new Error("else");
  assert.equal(explainFailure(error, "/state", running), error);
});
