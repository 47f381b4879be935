// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { readHugePages } from "../../../src/linux/huge-pages.ts";
import { assertHugePages } from "../../../src/sandbox/huge-memory.ts";

const MEMINFO = `MemTotal:       24000000 kB
HugePages_Total:     300
HugePages_Free:      200
HugePages_Rsvd:       72
HugePages_Surp:        0
Hugepagesize:       2048 kB
`;

test("free huge pages are those that nobody has been promised", () => {
  assert.deepEqual(readHugePages(MEMINFO), { sizeKib: 2048, free: 128 });
  assert.deepEqual(readHugePages("MemTotal: 1 kB\n"), { sizeKib: 0, free: 0 });
});

test("a guest gets as much memory as there are huge pages for, and an error that says what to do", () => {
  const pages = readHugePages(MEMINFO);
  assertHugePages(256, pages);
  const cases: [number, typeof pages, RegExp, RegExp][] = [
    [258, pages, /129 huge pages of 2048 KiB are needed, and 128 are free/, /set 1 more aside/],
    [255, pages, /no whole number/, /a multiple of 2 MiB/],
    [256, { sizeKib: 1048576, free: 9 }, /no whole number/, /a multiple of 1024 MiB/],
    [256, { sizeKib: 0, free: 0 }, /no huge pages/, /enable_hugepages/],
  ];
  for (const [mib, given, message, hint] of cases) {
    assert.throws(() => assertHugePages(mib, given), {
      code: "HUGE_PAGES_UNAVAILABLE",
      message,
      hint,
    });
  }
});
