// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  FrameType,
  MAX_PAYLOAD_BYTES,
} from "../../../src/ttrpc/frame.ts";

function decode(...chunks: Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap((chunk) => [...decoder.push(chunk)]);
}

/** A header that announces a payload of this length. */
function header(length: number, streamId: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(streamId, 4);
  bytes.writeUInt8(FrameType.REQUEST, 8);
  return bytes;
}

test("a frame is a header of ten bytes, big endian, and the payload", () => {
  const frame = encodeFrame(0x01020304, FrameType.RESPONSE, Buffer.from("ab"));
  assert.equal(frame.toString("hex"), "00000002010203040200" + "6162");
});

test("frames come out whole, however the bytes were cut", () => {
  const bytes = Buffer.concat([
    encodeFrame(1, FrameType.REQUEST, Buffer.from("hello")),
    encodeFrame(3, FrameType.REQUEST, Buffer.alloc(0)),
    encodeFrame(5, FrameType.DATA, Buffer.from("!")),
  ]);
  const single = decode(...[...bytes].map((byte) => Buffer.from([byte])));
  for (const frames of [decode(bytes), single]) {
    assert.deepEqual(
      frames.map(({ streamId, type, payload }) => [streamId, type, payload.toString()]),
      [
        [1, FrameType.REQUEST, "hello"],
        [3, FrameType.REQUEST, ""],
        [5, FrameType.DATA, "!"],
      ],
    );
  }
});

test("a half frame is no frame", () => {
  assert.deepEqual(decode(encodeFrame(1, 1, Buffer.from("hello")).subarray(0, -1)), []);
  assert.deepEqual(decode(Buffer.alloc(9)), []);
});

test("a too long payload is dropped to its last byte, and the next frame is seen", () => {
  const length = MAX_PAYLOAD_BYTES + 1;
  const next = encodeFrame(9, FrameType.REQUEST, Buffer.from("next"));
  const body = Buffer.alloc(length);
  const frames = decode(header(length, 7), body.subarray(0, 5), body.subarray(5), next);
  assert.deepEqual(
    frames.map(({ streamId, isTooLong, payload }) => [streamId, isTooLong, payload.toString()]),
    [
      [7, true, ""],
      [9, false, "next"],
    ],
  );
  const joined = decode(Buffer.concat([header(length, 7), body, next]));
  assert.deepEqual(
    joined.map(({ streamId }) => streamId),
    [7, 9],
  );
});

test("an announced length costs no memory beyond one frame", () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoder = new FrameDecoder();
  assert.equal([...decoder.push(header(0xffffffff, 1))].length, 1);
  for (let count = 0; count < 1000; count += 1) {
    assert.deepEqual([...decoder.push(Buffer.alloc(65_536))], []);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 100_000_000);
});

test("the longest payload passes, a longer one is not even sent", () => {
  const longest = Buffer.alloc(MAX_PAYLOAD_BYTES);
  assert.equal(decode(encodeFrame(1, 1, longest))[0]?.payload.length, MAX_PAYLOAD_BYTES);
  assert.throws(() => encodeFrame(1, 1, Buffer.alloc(MAX_PAYLOAD_BYTES + 1)), RangeError);
});
