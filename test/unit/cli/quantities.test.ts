// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBytes, parseCount, parseDuration } from "../../../src/cli/io/quantities.ts";
import { parseSignal } from "../../../src/cli/io/signals.ts";

test("sizes are read by powers of 1024, with or without unit", () => {
  assert.equal(parseBytes("--memory", "512m"), 512 * 2 ** 20);
  assert.equal(parseBytes("--memory", "1.5g"), 1.5 * 2 ** 30);
  assert.equal(parseBytes("--memory", "64MiB"), 64 * 2 ** 20);
  assert.equal(parseBytes("--memory", "4096"), 4096);
});

test("a wrong size names its option and what is accepted", () => {
  for (const text of ["", "-1", "0", "12x", "1e9", "9999999999999t", "NaN"]) {
    assert.throws(
      () => parseBytes("--memory", text),
      { code: "USAGE", message: /--memory.*512m/ },
      text,
    );
  }
});

test("times have units; a bare number is seconds", () => {
  assert.equal(parseDuration("--timeout", "30"), 30_000);
  assert.equal(parseDuration("--timeout", "1.5m"), 90_000);
  assert.equal(parseDuration("--timeout", "500ms"), 500);
  for (const text of ["", "0", "-5s", "1d", "soon", "999999h"]) {
    assert.throws(() => parseDuration("--timeout", text), { code: "USAGE" }, text);
  }
});

test("counts are positive numbers", () => {
  assert.equal(parseCount("--cpus", "1.5"), 1.5);
  for (const text of ["0", "-1", "two", "Infinity", "1e3"]) {
    assert.throws(() => parseCount("--cpus", text), { code: "USAGE" }, text);
  }
});

test("signals go by name, short name or number", () => {
  assert.equal(parseSignal("TERM"), 15);
  assert.equal(parseSignal("sigkill"), 9);
  assert.equal(parseSignal("1"), 1);
  for (const text of ["", "0", "65", "NOPE", "-9"]) {
    assert.throws(() => parseSignal(text), { code: "USAGE" }, text);
  }
});

test("a size out of its range is refused with the range", () => {
  const range = { least: 2 ** 20, most: 2 ** 30 };
  assert.equal(parseBytes("--scratch", "1m", range), 2 ** 20);
  assert.equal(parseBytes("--scratch", "1g", range), 2 ** 30);
  for (const text of ["1023k", "1025m"]) {
    const message = /--scratch.* a size of 1\.0 MiB to 1\.0 GiB$/;
    assert.throws(() => parseBytes("--scratch", text, range), { code: "USAGE", message }, text);
  }
});
