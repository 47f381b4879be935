// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "../../../src/logging/logger.ts";

function collecting(options: { format?: "json" | "text"; level?: "debug" | "warn" } = {}) {
  const lines: string[] = [];
  const logger = createLogger({
    component: "test",
    sandboxId: "s1",
    sink: (line) => lines.push(line),
    ...options,
  });
  return { lines, logger };
}

test("each line is one JSON object with component and sandbox", () => {
  const { lines, logger } = collecting();
  logger
    .child({ container: "c1" })
    .info("started\nnow", { pid: 7, big: 1n, cause: new Error("why") });
  assert.equal(lines.length, 1);
  assert.ok(!lines[0]?.includes("\n"));
  const { time, ...rest } = JSON.parse(lines[0] ?? "");
  assert.ok(Date.parse(time) > 0);
  assert.deepEqual(rest, {
    level: "info",
    message: "started\nnow",
    component: "test",
    sandboxId: "s1",
    container: "c1",
    pid: 7,
    big: "1",
    cause: "why",
  });
});

test("lines below the level are not written", () => {
  const { lines, logger } = collecting({ level: "warn" });
  logger.info("no");
  logger.warn("yes");
  assert.equal(lines.length, 1);
});

test("text is for people", () => {
  const { lines, logger } = collecting({ format: "text" });
  logger.error("broken", { path: "/x" });
  assert.equal(lines[0], 'error: broken sandboxId="s1" path="/x"');
});
