// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import * as v from "valibot";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { ControlServer } from "../../src/keeper/control/control-server.ts";
import type { Handlers } from "../../src/keeper/control/handlers.ts";
import { KeeperClient } from "../../src/sandbox/keeper-client.ts";
import { KeeperLine, WireError } from "../../src/sandbox/messages/envelope.ts";
import { KeeperEvent } from "../../src/sandbox/messages/events.ts";
import { encodeMessage } from "../../src/sandbox/messages/json-lines.ts";
import { METHODS } from "../../src/sandbox/messages/methods.ts";
import { isPlainText, plainHead, plainTail } from "../../src/sandbox/messages/text.ts";
import { toWireError } from "../../src/sandbox/messages/wire-error.ts";

class Wire extends Duplex {
  readonly lines: string[] = [];
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.lines.push(chunk.toString());
    done();
  }
  say(bytes: string | Buffer): void {
    if (!this.destroyed) this.push(bytes);
  }
}

const nearEvent = fc.record(
  {
    event: fc.constantFrom("exited", "oom", "lost", "x"),
    containerId: fc.oneof(fc.constant("c1"), fc.string()),
    execId: fc.oneof(fc.constant(""), fc.string()),
    status: fc.oneof(fc.nat(300), fc.anything()),
    at: fc.oneof(fc.nat(), fc.anything()),
    reason: fc.string({ unit: "binary" }),
    consoleTail: fc.string({ unit: "binary" }),
  },
  { requiredKeys: ["event"] },
);
const nearReply = fc.record(
  { id: fc.integer({ min: -1, max: 3 }), result: fc.anything(), error: fc.anything() },
  { requiredKeys: ["id"] },
);
const piece = fc.oneof(
  fc.oneof(nearEvent, nearReply, fc.jsonValue()).map((value) => {
    try {
      return Buffer.from(`${JSON.stringify(value)}\n`);
    } catch {
      return Buffer.from("{}\n");
    }
  }),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
);

test("whatever a keeper sends, the shim sees only what the schema allows, and goes on", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (pieces) => {
      const wire = new Wire();
      const events: unknown[] = [];
      const client = new KeeperClient({
        control: wire,
        descriptorSocketFd: -1,
        onEvent: (event) => events.push(event),
      });
      const requests = Promise.allSettled([
        client.attachDisk({ diskId: "d", readOnly: true }),
        client.stats({ containerId: "c1" }),
      ]);
      for (const bytes of pieces) wire.say(bytes);
      if (!wire.destroyed) wire.push(null);
      const { violation } = await client.closed;
      assert.ok(violation === undefined || violation.code === "KEEPER_PROTOCOL");
      for (const event of events) assert.ok(v.is(KeeperEvent, event));
      for (const [index, result] of (await requests).entries()) {
        const schema = index === 0 ? METHODS.attachDisk.result : METHODS.stats.result;
        if (result.status === "fulfilled") assert.ok(v.is(schema, result.value));
        else assert.ok(result.reason instanceof MukonError);
      }
    }),
  );
});

test("whatever is asked of a keeper, each request is answered or the conversation ends", async () => {
  const names = Object.keys(METHODS);
  const request = fc.record(
    {
      id: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.anything()),
      method: fc.oneof(fc.constantFrom(...names, "__proto__", "constructor"), fc.string()),
      params: fc.oneof(fc.constant({ containerId: "c1" }), fc.jsonValue()),
    },
    { requiredKeys: ["id", "method"] },
  );
  const handlers = Object.fromEntries(
    names.map((name) => [name, async () => ({})]),
  ) as unknown as Handlers;
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 10 }), async (requests) => {
      const wire = new Wire();
      const server = new ControlServer({ control: wire, takeDescriptors: () => [], handlers });
      for (const message of requests) {
        wire.say(Buffer.from(`${JSON.stringify(message, dropBigints)}\n`));
      }
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      if (!wire.destroyed) assert.equal(wire.lines.length, requests.length);
      for (const line of wire.lines) assert.ok(v.is(KeeperLine, JSON.parse(line)));
      if (!wire.destroyed) wire.push(null);
      await server.ended;
    }),
  );
});

test("any failure, of any text, fits what the shim accepts", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string({ unit: "binary", maxLength: 9000 }),
      fc.dictionary(fc.constantFrom("stage", "consoleTail", "agentStatus", "x"), fc.anything()),
      (code, text, details) => {
        const wire = toWireError(new MukonError(code, text, { hint: text, details }));
        assert.ok(v.is(WireError, wire));
        encodeMessage({ id: 1, error: wire }, 64 * 1024);
        assert.ok(isPlainText(plainHead(text, 100)) && isPlainText(plainTail(text, 100)));
      },
    ),
  );
});

function dropBigints(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? 0 : value;
}
