// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatBytes, formatTable } from "../../../src/cli/output/table.ts";

test("columns are as wide as their widest cell, and lines have no blanks at their end", () => {
  const text = formatTable(
    ["ID", "NAME"],
    [
      ["123456", "a"],
      ["1", ""],
    ],
  );
  assert.equal(text, "ID      NAME\n123456  a\n1");
});

test("ages and sizes are said in the largest unit that fits", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.equal(formatAge("2026-01-01T23:59:59Z", now), "1 second ago");
  assert.equal(formatAge("2026-01-01T22:00:00Z", now), "2 hours ago");
  assert.equal(formatAge("2026-01-02T00:00:00Z", now), "just now");
  assert.equal(formatBytes(512), "512 B");
  assert.equal(formatBytes(1536), "1.5 KiB");
});
