// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { asNamedUser } from "../../guest/agent/container/accounts.ts";
import { AgentError } from "../../guest/agent/errors.ts";
import { decode } from "../../guest/agent/protobuf/decode.ts";
import { encode, toBuffer } from "../../guest/agent/protobuf/encode.ts";
import { CopyFileRequest, CreateContainerRequest } from "../../guest/agent/schema/agent.ts";
import { Process } from "../../guest/agent/schema/oci.ts";
import { FrameParser, makeFrame } from "../../guest/agent/ttrpc/frame.ts";

const bytes = fc.uint8Array({ maxLength: 400 }).map((data) => Buffer.from(data));

test("any bytes are a message or a refusal", () => {
  fc.assert(
    fc.property(bytes, (data) => {
      try {
        decode(CreateContainerRequest, data);
      } catch (error) {
        assert.ok(error instanceof AgentError, String(error));
      }
    }),
  );
});

test("any values come back as they were", () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const request = fc.record(
    {
      path: fc.string({ unit: "grapheme" }),
      fileSize: int64,
      fileMode: uint32,
      dirMode: uint32,
      uid: int32,
      gid: int32,
      offset: int64,
      data: bytes,
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(request, (value) => {
      assert.deepEqual(decode(CopyFileRequest, toBuffer(encode(CopyFileRequest, value))), value);
    }),
  );
});

test("any cut of any frames gives the same frames", () => {
  const streamId = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const frame = fc.record({ streamId, data: bytes }, { noNullPrototype: true });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 6 }),
      fc.integer({ min: 1, max: 50 }),
      (frames, size) => {
        const stream = Buffer.concat(
          frames.map(({ streamId, data }) => makeFrame(streamId, 1, [data])),
        );
        const parser = new FrameParser();
        const found = [];
        for (let at = 0; at < stream.length; at += size) {
          found.push(...parser.push(stream.subarray(at, at + size)));
        }
        assert.deepEqual(
          found.map(({ streamId, data }) => ({ streamId, data })),
          frames,
        );
      },
    ),
  );
});

test("any passwd and group of a container name somebody, or are refused", () => {
  const part = fc.oneof(fc.constantFrom("root", "web", "0", "7", "4294967295", "-1"), fc.string());
  const line = fc.array(part, { maxLength: 5 }).map((fields) => fields.join(":"));
  const file = fc.array(line, { maxLength: 5 }).map((lines) => lines.join("\n"));
  const ids = (values: readonly number[]): boolean =>
    values.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32 - 1);
  fc.assert(
    fc.property(line, file, file, (username, passwd, group) => {
      try {
        const { user } = asNamedUser(processOf(username), { passwd, group });
        assert.ok(user !== undefined && ids([user.uid, user.gid, ...user.additionalGids]));
      } catch (error) {
        assert.ok(error instanceof AgentError, String(error));
      }
    }),
  );
});

function processOf(username: string): Parameters<typeof asNamedUser>[0] {
  return {
    ...decode(Process, Buffer.alloc(0)),
    user: { uid: 0, gid: 0, additionalGids: [], username },
  };
}
