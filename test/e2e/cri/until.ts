// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits (bounded) for what is to come true. */
export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; !(await isTrue()); await sleep(100)) {
    assert.ok(Date.now() < deadline, `not in time: ${isTrue}`);
  }
}
