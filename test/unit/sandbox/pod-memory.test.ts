// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { podMemory } from "../../../src/sandbox/pod-memory.ts";

const GIB = 1024;

test("a pod begins with what all have, and gets the rest in whole blocks", () => {
  const cases: [configured: number, wanted: number, base: number, extra: number][] = [
    [2048, 2048, 2048, 0],
    [2048, 2049, 2048, 128],
    [2048, 2176, 2048, 128],
    [2048, 2177, 2048, 256],
    [2048, 1024, 1024, 0],
    // More than can be plugged in, and machines whose blocks are larger, begin with all of it.
    [2048, 2048 + 33 * GIB, 2048 + 33 * GIB, 0],
    [64 * GIB, 65 * GIB, 65 * GIB, 0],
  ];
  for (const [configuredMib, wantedMib, baseMib, extraMib] of cases) {
    const memory = podMemory({ configuredMib, wantedMib, mostMib: 32 * GIB });
    assert.deepEqual(memory, { baseMib, extraMib }, `${configuredMib} of ${wantedMib}`);
  }
});
