// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as v from "valibot";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { WireError } from "../../../src/sandbox/messages/envelope.ts";
import { EventBudget } from "../../../src/sandbox/messages/event-budget.ts";
import { encodeMessage, messageDecoder } from "../../../src/sandbox/messages/json-lines.ts";
import { METHODS, stdioDescriptorCount } from "../../../src/sandbox/messages/methods.ts";
import { isPlainText, plainHead, plainTail } from "../../../src/sandbox/messages/text.ts";
import { fromWireError, toWireError } from "../../../src/sandbox/messages/wire-error.ts";

test("a line of just the greatest length passes; one byte more does not", () => {
  const line = encodeMessage("x".repeat(98), 100);
  assert.equal(line.length, 101);
  assert.throws(() => encodeMessage("x".repeat(99), 100), { code: "KEEPER_PROTOCOL" });
  assert.deepEqual([...messageDecoder(100).push(line)], ["x".repeat(98)]);
  assert.throws(() => [...messageDecoder(99).push(line)], { code: "KEEPER_PROTOCOL" });
});

test("a line that never ends is given up at its limit, also when it comes byte by byte", () => {
  const decoder = messageDecoder(1000);
  let taken = 0;
  assert.throws(() => {
    for (; taken < 2000; taken += 1) for (const _ of decoder.push(Buffer.from("a")));
  });
  assert.equal(taken, 1000);
});

test("what a terminal obeys is found, and replaced", () => {
  const wicked = ["\u001b[2J", "a\u0007", "\u009b31m", "\u202egnp.exe", "\ud800", "\u007f"];
  for (const text of wicked) {
    assert.ok(!isPlainText(text), JSON.stringify(text));
    assert.ok(isPlainText(plainHead(text, 100)));
  }
  for (const text of ["plain", "línea\n\tdos", "無根", "😀"]) assert.ok(isPlainText(text), text);
});

test("a cut never leaves more than was asked for, and keeps the right end", () => {
  assert.equal(plainTail("first\r\nlast", 4), "last");
  assert.equal(plainHead("first\r\nlast", 5), "first");
  const emoji = "😀".repeat(10);
  assert.ok(isPlainText(plainTail(emoji, 5)) && plainTail(emoji, 5).length <= 5);
});

test("any error becomes one that the shim accepts", () => {
  const errors = [
    new Error("plain"),
    "no error at all",
    new MukonError("lower case!", "code"),
    new MukonError("GUEST_BOOT_FAILED", `\u001b${"x".repeat(10_000)}`, {
      hint: "y".repeat(10_000),
      details: {
        stage: "a".repeat(99),
        consoleTail: "z".repeat(20_000),
        secret: "s",
        agentStatus: 5,
      },
    }),
  ];
  for (const error of errors) {
    const wire = toWireError(error);
    v.parse(WireError, wire);
    encodeMessage({ id: 1, error: wire }, 64 * 1024);
    assert.ok(!JSON.stringify(wire).includes("secret"));
    assert.equal(fromWireError(wire).message, wire.message);
  }
});

test("the greatest of all failures still fits a line", () => {
  const wire = toWireError(
    new MukonError("A".repeat(64), "\u{10ffff}".repeat(2048), {
      hint: '"'.repeat(4096),
      details: { consoleTail: '"\n'.repeat(4096), stage: "\\".repeat(40) },
    }),
  );
  encodeMessage({ id: 2 ** 32 - 1, error: wire }, 64 * 1024);
});

test("events beyond the second's budget are told, and the next second is a new one", () => {
  const budget = new EventBudget(2);
  assert.deepEqual(
    [0, 1, 2, 999, 1000].map((ms) => budget.spend(ms)),
    [true, true, false, false, true],
  );
});

test("standard input brings two descriptors, each output one", () => {
  const none = { terminal: false, stdin: false, stdout: false, stderr: false };
  assert.equal(stdioDescriptorCount(none), 0);
  assert.equal(stdioDescriptorCount({ ...none, stdin: true, stdout: true, stderr: true }), 4);
});

test("ids that could be taken for paths, options or patterns are refused", () => {
  const schema = METHODS.startContainer.params;
  for (const containerId of ["", "..", "-rf", "a/b", "a b", "a\n", "ä", "x".repeat(129)]) {
    assert.ok(!v.is(schema, { containerId }), JSON.stringify(containerId));
  }
  for (const containerId of ["a", "A-1_b.c", "x".repeat(128)]) {
    assert.ok(v.is(schema, { containerId }), containerId);
  }
});
