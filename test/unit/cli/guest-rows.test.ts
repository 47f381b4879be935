// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { guestRows } from "../../../src/cli/output/guest-rows.ts";

const hash = (digit: string): string => digit.repeat(64);

test("every part of a guest has a line of plain text, with its version or size and its hash", () => {
  const rows = guestRows({
    ...{ schemaVersion: 1, contentHash: "c".repeat(32), inputsHash: hash("0") },
    kernelRelease: "6.12.1-cloud",
    inputs: {
      ...{ recipe: hash("1"), release: "trixie", erofsUtils: "1.8" },
      packages: [{ name: "crun", version: "1.21-1", sha256: hash("2") }],
      node: { version: "20.19.2", sha256: hash("3") },
      agent: { sha256: hash("4") },
    },
    files: [{ name: "vmlinux", sha256: hash("5"), sizeBytes: 3 * 1024 * 1024 }],
  });
  assert.deepEqual(rows, [
    ["guest", "trixie", "c".repeat(32)],
    ["kernel", "6.12.1-cloud", ""],
    ["node", "20.19.2", hash("3")],
    ["agent", "", hash("4")],
    ["vmlinux", "3.0 MiB", hash("5")],
    ["crun", "1.21-1", hash("2")],
  ]);
});
