// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { type CpioEntry, writeCpio } from "../../../guest/image/cpio.ts";

interface Parsed {
  name: string;
  mode: number;
  data: string;
  owner: number[];
  time: number;
}

/** Reads an archive by the format's own description. */
function readCpio(archive: Buffer): Parsed[] {
  const entries: Parsed[] = [];
  let offset = 0;
  const toFour = (value: number): number => Math.ceil(value / 4) * 4;
  for (;;) {
    assert.equal(archive.toString("latin1", offset, offset + 6), "070701");
    const field = (index: number): number =>
      Number.parseInt(
        archive.toString("latin1", offset + 6 + index * 8, offset + 14 + index * 8),
        16,
      );
    const nameEnd = offset + 110 + field(11);
    const name = archive.toString("utf8", offset + 110, nameEnd - 1);
    if (name === "TRAILER!!!") return entries;
    const start = toFour(nameEnd);
    const data = archive.toString("utf8", start, start + field(6));
    entries.push({ name, mode: field(1), data, owner: [field(2), field(3)], time: field(5) });
    offset = toFour(start + field(6));
  }
}

const entries: CpioEntry[] = [
  { kind: "directory", path: "bin", mode: 0o755 },
  { kind: "file", path: "bin/odd", mode: 0o755, data: Buffer.from("12345") },
  { kind: "file", path: "empty", mode: 0o644, data: Buffer.alloc(0) },
  { kind: "link", path: "sh", target: "bin/odd" },
];

test("an archive holds its entries with type, mode and content, all owned by root", () => {
  const parsed = readCpio(writeCpio(entries));
  assert.deepEqual(parsed, [
    { name: "bin", mode: 0o040755, data: "", owner: [0, 0], time: 0 },
    { name: "bin/odd", mode: 0o100755, data: "12345", owner: [0, 0], time: 0 },
    { name: "empty", mode: 0o100644, data: "", owner: [0, 0], time: 0 },
    { name: "sh", mode: 0o120777, data: "bin/odd", owner: [0, 0], time: 0 },
  ]);
});

test("the same entries give the same bytes", () => {
  assert.ok(writeCpio(entries).equals(writeCpio(entries)));
});
