// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Health } from "../../src/generated/agent/health_pb.ts";
import { RequestSchema, StatusSchema } from "../../src/generated/ttrpc/ttrpc_pb.ts";
import { TtrpcClient } from "../../src/ttrpc/client.ts";
import { fromStatus, toStatus } from "../../src/ttrpc/error-details.ts";
import { encodeFrame, type Frame, FrameDecoder } from "../../src/ttrpc/frame.ts";
import { TtrpcServer } from "../../src/ttrpc/server.ts";
import { TtrpcError } from "../../src/ttrpc/ttrpc-error.ts";

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** The bytes in pieces of these lengths, over and over. */
function cut(whole: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < whole.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    pieces.push(whole.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** A connection whose other side says just this; what is sent to it is dropped. */
function saying(pieces: readonly Buffer[]): Duplex {
  const stream = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
  });
  for (const piece of pieces) stream.push(piece);
  stream.push(null);
  return stream;
}

const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });

test("frames survive any cutting of the bytes", () => {
  const frame = fc.tuple(fc.nat(0xffffffff), fc.nat(255), bytes(60));
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), cuts, (frames, lengths) => {
      const whole = Buffer.concat(frames.map((parts) => encodeFrame(...parts)));
      const decoder = new FrameDecoder();
      const found = cut(whole, lengths).flatMap((piece) => [...decoder.push(piece)]);
      const parts = found.map(({ streamId, type, payload }: Frame) => [streamId, type, payload]);
      assert.deepEqual(parts, frames);
    }),
  );
});

test("any bytes at all are frames or not yet a frame, never a failure", () => {
  fc.assert(
    fc.property(bytes(300), cuts, (whole, lengths) => {
      const decoder = new FrameDecoder();
      for (const piece of cut(whole, lengths)) {
        for (const frame of decoder.push(piece)) assert.ok(frame.payload.length <= whole.length);
      }
    }),
  );
});

/** Mostly well-formed frames with ill-formed insides: plain noise seldom gets past the header. */
const hostile = fc.oneof(
  bytes(200),
  fc
    .array(fc.tuple(fc.constantFrom(0, 1, 2, 3, 5), fc.nat(4), bytes(60)), { maxLength: 6 })
    .map((frames) => Buffer.concat(frames.map((parts) => encodeFrame(...parts)))),
);

test("whatever a guest sends, a call is answered or fails with an error of ours", async () => {
  await fc.assert(
    fc.asyncProperty(hostile, cuts, async (whole, lengths) => {
      const client = new TtrpcClient(saying(cut(whole, lengths)));
      const call = client.call(Health.method.check, {}, { timeoutMs: 5000 });
      const outcome = await call.catch((error: unknown) => error);
      assert.ok(!(outcome instanceof Error) || outcome instanceof TtrpcError, String(outcome));
      client.close();
    }),
  );
});

test("whatever a client sends, a server goes on until the connection ends", async () => {
  const server = new TtrpcServer().register(Health, { check: () => ({}) });
  await fc.assert(
    fc.asyncProperty(hostile, cuts, async (whole, lengths) => {
      await server.serve(saying(cut(whole, lengths))).closed;
    }),
  );
});

test("requests and responses survive their encoding", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(text, text, bytes(100), fc.bigInt({ min: 0n, max: 2n ** 62n }), (...parts) => {
      const [service, method, payload, timeoutNano] = parts;
      const request = create(RequestSchema, { service, method, payload, timeoutNano });
      const read = fromBinary(RequestSchema, toBinary(RequestSchema, request));
      assert.deepEqual(
        [read.service, read.method, read.timeoutNano],
        [service, method, timeoutNano],
      );
      assert.deepEqual(Buffer.from(read.payload), payload);
    }),
  );
});

test("an error of ours reaches a client that trusts us as it was", () => {
  const code = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,40}$/);
  fc.assert(
    fc.property(code, fc.string(), fc.option(fc.string(), { nil: undefined }), (...parts) => {
      const [name, message, hint] = parts;
      const status = toStatus(new TtrpcError(name, message, { hint, details: { size: 7n } }), {
        isDetailed: true,
      });
      const wire = fromBinary(StatusSchema, toBinary(StatusSchema, status));
      const read = fromStatus(wire, { isTrusted: true });
      assert.deepEqual([read.code, read.message, read.hint], [name, message, hint]);
      assert.deepEqual(read.details, { size: "7" });
      assert.equal(fromStatus(wire, { isTrusted: false }).code, "CALL_FAILED");
    }),
  );
});

test("details that are no error of ours are left aside", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      const value = Buffer.from(text);
      const status = create(StatusSchema, {
        code: 5,
        details: [{ typeUrl: "dev.mukon.Error", value }],
      });
      assert.equal(fromStatus(status, { isTrusted: true }).status, 5);
    }),
  );
});

test("a failure never looks like success", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.string(), (code, message) => {
      const error = fromStatus(create(StatusSchema, { code, message }), { isTrusted: false });
      assert.notEqual(error.status, 0);
      assert.notEqual(error.message, "");
    }),
  );
});
