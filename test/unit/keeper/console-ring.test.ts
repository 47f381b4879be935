// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConsoleRing } from "../../../src/keeper/guest/console-ring.ts";

test("the ring keeps the last bytes, however they come", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.string({ unit: "grapheme-ascii", maxLength: 50 })),
      (capacity, pieces) => {
        const ring = new ConsoleRing(capacity);
        for (const piece of pieces) ring.push(Buffer.from(piece));
        const all = pieces.join("");
        assert.equal(ring.text(), all.slice(Math.max(0, all.length - capacity)));
      },
    ),
  );
});

test("bytes that are no text do no harm", () => {
  const ring = new ConsoleRing(8);
  ring.push(Buffer.from([0xff, 0xfe, 0x41]));
  assert.equal(ring.text(), "\ufffd\ufffdA");
});
