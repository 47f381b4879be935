// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadedDefaults } from "../../../src/config/load.ts";
import { templateMemory } from "../../../src/sandbox/template/sharing.ts";
import { canMapPrivately } from "../../../src/vmm/qemu/version.ts";

test("only QEMU from 8.2 on maps privately what it may only read", () => {
  const answers = ["", "7.2.22", "8.1.9", "8.2.0", "8.10.0", "10.0", "x"].map(canMapPrivately);
  assert.deepEqual(answers, [false, false, false, true, true, true, false]);
});

test("clones share memory where QEMU can, unless the configuration wants copies", () => {
  const { mukon } = loadedDefaults().configuration;
  assert.equal(templateMemory({ mukon }, "10.0.2"), "shared");
  assert.equal(templateMemory({ mukon }, "7.2.22"), "copied");
  const careful = { mukon: { ...mukon, templateMemory: "copied" as const } };
  assert.equal(templateMemory(careful, "10.0.2"), "copied");
});
