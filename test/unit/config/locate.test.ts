// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { locateKeys } from "../../../src/config/file/locate.ts";

test("keys are found behind everything that may hide or imitate them", () => {
  const text = [
    "# a = 1 # not a key", // 1
    "first = '''", // 2
    "second = 2", // 3: text
    "'''", // 4
    "list = [ # [table]", // 5
    '  "x = 1]", { inner = 1 },', // 6
    "]", // 7
    '[ hypervisor . "qemu" ] # c', // 8
    "rootless=true", // 9
    'a.b = """', // 10
    '\\""" [runtime]', // 11: still text
    'end"""', // 12
    "  'quoted' = { x = 1, y = { z = 2 } }", // 13
    "[runtime]", // 14
    "inner = 5\r", // 15
    "second = 2", // 16
  ].join("\n");
  const lines = locateKeys(text);
  const expected: Record<string, number> = {
    first: 2,
    list: 5,
    "hypervisor.qemu": 8,
    "hypervisor.qemu.rootless": 9,
    "hypervisor.qemu.a.b": 10,
    "hypervisor.qemu.quoted": 13,
    "hypervisor.qemu.quoted.x": 13,
    "hypervisor.qemu.quoted.y.z": 13,
    runtime: 14,
    "runtime.inner": 15,
    "runtime.second": 16,
  };
  assert.deepEqual(Object.fromEntries(lines), { ...expected, "hypervisor.qemu.quoted.y": 13 });
});
