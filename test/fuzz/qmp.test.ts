// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { QmpClient } from "../../src/vmm/qemu/qmp/client.ts";
import { FakeQemu, GREETING } from "../support/fake-qemu.ts";

/** Lines that come near to QMP, and bytes that do not. */
const line = fc.oneof(
  fc.json(),
  fc.record({ return: fc.anything(), id: fc.integer({ min: -1, max: 5 }) }).map(encode),
  fc.record({ event: fc.anything(), data: fc.anything() }).map(encode),
  fc.record({ error: fc.anything(), id: fc.anything() }).map(encode),
  fc.constant(GREETING.trim()),
  fc.string(),
);
const bytes = fc.oneof(
  { weight: 3, arbitrary: line.map((text) => Buffer.from(`${text}\n`)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)) },
);

function encode(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch {
    return "null";
  }
}

test("whatever QEMU sends, commands end and nothing is thrown beside them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(bytes, { maxLength: 20 }), async (greets, pieces) => {
      const qemu = new FakeQemu(() => undefined, greets ? GREETING : "");
      const qmp = new QmpClient(qemu, -1);
      const events: unknown[] = [];
      qmp.onEvent((event) => events.push(event.name));
      const command = qmp.execute("query-status", {}, { timeoutMs: 1000 }).then(
        () => "answered",
        (error) => error.code,
      );
      for (const piece of pieces) if (!qemu.destroyed) qemu.say(piece);
      if (!qemu.destroyed) qemu.hangUp();
      const outcome = await command;
      assert.match(outcome, /^(answered|QMP_CLOSED|QMP_PROTOCOL|QMP_COMMAND_FAILED)$/);
      await qmp.closed;
      assert.ok(events.every((name) => typeof name === "string" && name.length <= 64));
    }),
  );
});
