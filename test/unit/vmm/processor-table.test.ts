// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { processorTable } from "../../../src/vmm/qemu/processor-table.ts";

const HEADER_BYTES = 44;

/** The parts of a table after its header: what kind each is of, and its bytes. */
function partsOf(table: Buffer): { kind: number; bytes: Buffer }[] {
  const parts: { kind: number; bytes: Buffer }[] = [];
  for (let at = HEADER_BYTES; at < table.length; at += table.readUInt8(at + 1)) {
    const bytes = table.subarray(at, at + table.readUInt8(at + 1));
    parts.push({ kind: table.readUInt8(at), bytes });
  }
  return parts;
}

test("the table is one that a kernel takes: its length is right, and its bytes add up to 0", () => {
  for (const count of [1, 2, 17, 240]) {
    const table = processorTable(count);
    assert.equal(table.toString("latin1", 0, 4), "APIC");
    assert.equal(table.readUInt32LE(4), table.length);
    assert.equal(table.reduce((sum, byte) => sum + byte, 0) % 256, 0);
  }
});

test("each processor is in it once, with the number of its interrupt controller, and may be used", () => {
  const processors = partsOf(processorTable(240)).filter(({ kind }) => kind === 0);
  assert.equal(processors.length, 240);
  for (const [id, { bytes }] of processors.entries()) {
    assert.deepEqual([...bytes], [0, 8, id, id, 1, 0, 0, 0]);
  }
});

test("the machine's interrupts are in it: one controller, the clock's line, and what cannot be masked", () => {
  const parts = partsOf(processorTable(2));
  assert.deepEqual(parts.map(({ kind }) => kind).slice(2), [1, 2, 2, 2, 2, 2, 4]);
  assert.equal(parts[2]?.bytes.readUInt32LE(4), 0xfec0_0000);
  assert.deepEqual([...(parts[3]?.bytes ?? [])], [2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
});
