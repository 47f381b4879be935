// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble, CODES, end, instruction } from "../../../src/linux/bpf-assembler.ts";

test("a jump is as long as what lies before its label", () => {
  const code = assemble([
    { jump: CODES.jumpEqual, to: 2, value: 7, label: "there" },
    ...end(0),
    "there",
    ...end(1),
  ]);
  assert.equal(code.length, 5 * 8);
  assert.equal(code.readUInt8(0), CODES.jumpEqual);
  assert.equal(code.readUInt8(1), 2);
  assert.equal(code.readInt16LE(2), 2);
  assert.equal(code.readInt32LE(4), 7);
});

test("a jump must lead ahead, to a label that is there", () => {
  const back = ["here", { jump: CODES.jump, label: "here" }];
  assert.throws(() => assemble(back), /no label here/);
  assert.throws(() => assemble([{ jump: CODES.jump, label: "nowhere" }]), /no label nowhere/);
});

test("values of 32 bits are written as they are, whatever their first bit", () => {
  assert.equal(instruction(CODES.set, { value: 0xffff_0000 }).readUInt32LE(4), 0xffff_0000);
});
