// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AgentService } from "../../../src/generated/agent/agent_pb.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../../src/generated/agent/health_pb.ts";
import {
  RequestSchema,
  type Response,
  ResponseSchema,
} from "../../../src/generated/ttrpc/ttrpc_pb.ts";
import { TtrpcClient } from "../../../src/ttrpc/client.ts";
import { encodeFrame, FrameDecoder, FrameType } from "../../../src/ttrpc/frame.ts";
import { TtrpcServer } from "../../../src/ttrpc/server.ts";
import { StatusCode } from "../../../src/ttrpc/status.ts";
import type { TtrpcError } from "../../../src/ttrpc/ttrpc-error.ts";
import { connectedStreams } from "./connected-streams.ts";

const REQUEST = { service: "grpc.Health", method: "Check" };

/** A client whose guest is played by the test, which gets the raw connection. */
async function clientOf(context: TestContext): Promise<{ client: TtrpcClient; guest: Socket }> {
  const [near, guest] = await connectedStreams();
  const client = new TtrpcClient(near);
  context.after(() => {
    client.close();
    guest.destroy();
  });
  guest.on("error", () => {});
  return { client, guest };
}

async function serverOf(context: TestContext): Promise<Socket> {
  const [near, far] = await connectedStreams();
  const server = new TtrpcServer().register(Health, { check: () => ({ status: Serving.SERVING }) });
  const connection = server.serve(far);
  context.after(() => {
    connection.close();
    near.destroy();
  });
  return near;
}

function response(streamId: number, init: Parameters<typeof create<typeof ResponseSchema>>[1]) {
  const payload = toBinary(ResponseSchema, create(ResponseSchema, init));
  return encodeFrame(streamId, FrameType.RESPONSE, payload);
}

function request(streamId: number): Buffer {
  const payload = toBinary(RequestSchema, create(RequestSchema, REQUEST));
  return encodeFrame(streamId, FrameType.REQUEST, payload);
}

/** The next answers on a raw connection, by stream id. */
async function answers(socket: Socket, count: number): Promise<[number, Response][]> {
  const decoder = new FrameDecoder();
  const found: [number, Response][] = [];
  while (found.length < count) {
    const [chunk] = await once(socket, "data");
    for (const frame of decoder.push(chunk)) {
      found.push([frame.streamId, fromBinary(ResponseSchema, frame.payload)]);
    }
  }
  return found;
}

test("answers to calls that nobody made are ignored", async (context) => {
  const { client, guest } = await clientOf(context);
  const call = client.call(Health.method.check, {});
  guest.write(response(99, {}));
  guest.write(response(0, {}));
  guest.write(encodeFrame(1, FrameType.DATA, Buffer.from("data")));
  guest.write(encodeFrame(1, 77, Buffer.from("what")));
  guest.write(response(1, { payload: Buffer.from([0x08, 0x01]) }));
  guest.write(response(1, { payload: Buffer.from([0x08, 0x02]) }));
  assert.equal((await call).status, Serving.SERVING);
});

test("garbage fails the one call it answers", async (context) => {
  const { client, guest } = await clientOf(context);
  const first = client.call(Health.method.check, {});
  guest.write(encodeFrame(1, FrameType.RESPONSE, Buffer.from([0xff, 0xff, 0xff])));
  await assert.rejects(first, { code: "PROTOCOL_ERROR" });
  const second = client.call(Health.method.check, {});
  guest.write(response(3, { payload: Buffer.from([0x0b, 0x0b, 0x0b]) }));
  await assert.rejects(second, { code: "PROTOCOL_ERROR" });
  const third = client.call(Health.method.check, {});
  guest.write(response(5, {}));
  assert.equal((await third).status, 0);
});

test("deeply nested garbage is an error, not a crash", async (context) => {
  const { client, guest } = await clientOf(context);
  const call = client.call(Health.method.check, {});
  guest.write(response(1, { payload: Buffer.alloc(1_000_000, 0x7b) }));
  await assert.rejects(call, { code: "PROTOCOL_ERROR" });
});

test("a frame that is too long ends the connection", async (context) => {
  const { client, guest } = await clientOf(context);
  const call = client.call(Health.method.check, {});
  guest.write(Buffer.from("ffffffff000000010200", "hex"));
  await assert.rejects(call, { code: "PROTOCOL_ERROR" });
  await client.closed;
});

test("error text of a guest is bounded and moves no cursor", async (context) => {
  const { client, guest } = await clientOf(context);
  const call = client.call(Health.method.check, {});
  const message = `\u001b[2Jowned\u009b31m\r${"x".repeat(1_000_000)}`;
  guest.write(response(1, { status: { code: 4711, message } }));
  await assert.rejects(call, (error: TtrpcError) => {
    assert.equal(error.status, StatusCode.UNKNOWN);
    assert.match(error.message, /^\ufffd\[2Jowned\ufffd31m\ufffdx+$/);
    assert.ok(error.message.length <= 16 * 1024);
    return true;
  });
});

test("a guest that does not read is noticed before memory is gone", async (context) => {
  const { client, guest } = await clientOf(context);
  guest.pause();
  const data = Buffer.alloc(1024 * 1024);
  const calls = Array.from({ length: 40 }, () =>
    client.call(AgentService.method.writeStdin, { data }, { timeoutMs: 1000 }),
  );
  const results = await Promise.allSettled(calls);
  const codes = new Set(
    results.map((result) => (result.status === "rejected" ? result.reason.code : "answered")),
  );
  assert.deepEqual([...codes].sort(), ["CALL_TIMEOUT", "CONNECTION_STALLED"]);
});

test("a guest that is gone fails every call at once", async (context) => {
  const { client, guest } = await clientOf(context);
  const calls = [client.call(Health.method.check, {}), client.call(Health.method.version, {})];
  guest.destroy();
  for (const call of calls) await assert.rejects(call, { code: "CONNECTION_CLOSED" });
});

test("a server refuses stream ids that are even or do not increase, and goes on", async (context) => {
  const socket = await serverOf(context);
  const answered = answers(socket, 4);
  for (const streamId of [2, 5, 3, 7]) socket.write(request(streamId));
  const codes = (await answered).map(([id, { status }]) => [id, status?.code ?? 0]);
  assert.deepEqual(
    codes.sort(([a = 0], [b = 0]) => a - b),
    [
      [2, StatusCode.INVALID_ARGUMENT],
      [3, StatusCode.INVALID_ARGUMENT],
      [5, StatusCode.OK],
      [7, StatusCode.OK],
    ],
  );
});

test("a server answers unreadable and too long requests, and goes on", async (context) => {
  const socket = await serverOf(context);
  const answered = answers(socket, 4);
  socket.write(encodeFrame(1, FrameType.REQUEST, Buffer.from([0xff])));
  const broken = create(RequestSchema, { ...REQUEST, payload: Buffer.from([0xff]) });
  socket.write(encodeFrame(3, FrameType.REQUEST, toBinary(RequestSchema, broken)));
  const tooLong = Buffer.alloc(10 + 4_194_305);
  tooLong.writeUInt32BE(4_194_305, 0);
  tooLong.writeUInt32BE(5, 4);
  tooLong.writeUInt8(FrameType.REQUEST, 8);
  socket.write(tooLong);
  socket.write(request(7));
  const codes = new Map((await answered).map(([id, { status }]) => [id, status?.code ?? 0]));
  assert.equal(codes.get(1), StatusCode.INVALID_ARGUMENT);
  assert.equal(codes.get(3), StatusCode.INTERNAL);
  assert.equal(codes.get(5), StatusCode.RESOURCE_EXHAUSTED);
  assert.equal(codes.get(7), StatusCode.OK);
});

test("an answer has the bytes that containerd expects", async (context) => {
  const socket = await serverOf(context);
  const bytes = once(socket, "data");
  socket.write(request(1));
  const [chunk] = await bytes;
  // No status when all is well; field 2 is the payload, which is field 1 = SERVING.
  assert.equal(chunk.toString("hex"), "00000004000000010200" + "12020801");
});
