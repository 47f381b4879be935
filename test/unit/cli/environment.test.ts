// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { containerEnvironment } from "../../../src/cli/container/environment.ts";

const none = { image: [], files: [], options: [], terminal: false };

test("options win over files, files over the image", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-env-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "env");
  writeFileSync(file, "# a comment\n\nB=file\nC=file with spaces\n");
  const result = containerEnvironment({
    ...none,
    image: ["A=image", "B=image", "C=image"],
    files: [file],
    options: ["C=option"],
  });
  assert.deepEqual(result.slice(1), ["A=image", "B=file", "C=option"]);
});

test("a name alone takes the caller's value, and nothing when the caller has none", () => {
  process.env.MUKON_TEST_VALUE = "from here";
  const result = containerEnvironment({
    ...none,
    options: ["MUKON_TEST_VALUE", "MUKON_TEST_ABSENT"],
  });
  delete process.env.MUKON_TEST_VALUE;
  assert.ok(result.includes("MUKON_TEST_VALUE=from here"));
  assert.ok(!result.some((entry) => entry.startsWith("MUKON_TEST_ABSENT")));
});

test("a container has a PATH, and TERM with a terminal", () => {
  assert.match(containerEnvironment(none)[0] ?? "", /^PATH=.*\/bin/);
  assert.ok(containerEnvironment({ ...none, terminal: true }).includes("TERM=xterm"));
});

test("a wrong line and a missing file are told with their origin", () => {
  assert.throws(() => containerEnvironment({ ...none, options: ["=x"] }), {
    code: "ENVIRONMENT_FILE_INVALID",
    message: /-e/,
  });
  assert.throws(() => containerEnvironment({ ...none, files: ["/nowhere/at/all"] }), {
    message: /\/nowhere\/at\/all/,
  });
});
