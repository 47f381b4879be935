// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AgentError, Status } from "../../../guest/agent/errors.ts";
import { ContainerRequest, Empty, WaitProcessResponse } from "../../../guest/agent/schema/agent.ts";
import { FrameParser, MessageType, makeFrame } from "../../../guest/agent/ttrpc/frame.ts";
import { Conversation, method } from "../../../guest/agent/ttrpc/server.ts";
import { RequestSchema, ResponseSchema } from "../../../src/generated/ttrpc/ttrpc_pb.ts";

const CONTAINER = Buffer.from([0x0a, 1, 0x63]);

function requestFrame(streamId: number, name: string, payload = CONTAINER): Buffer {
  const request = create(RequestSchema, { service: "test", method: name, payload });
  return makeFrame(streamId, MessageType.request, [Buffer.from(toBinary(RequestSchema, request))]);
}

function startConversation() {
  const sent: Buffer[] = [];
  const hosts = { count: 0 };
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const methods = new Map([
    ["test/Wait", method([ContainerRequest, WaitProcessResponse], () => ({ status: 7 }))],
    ["test/Nothing", method([ContainerRequest, Empty], () => ({}))],
    [
      "test/Fail",
      method([ContainerRequest, Empty], ({ containerId }) => {
        throw new AgentError(Status.notFound, `no ${containerId}`);
      }),
    ],
    [
      "test/Hold",
      method([ContainerRequest, Empty], async () => {
        await held;
        return {};
      }),
    ],
  ]);
  const conversation = new Conversation({
    methods,
    send: (frame) => sent.push(frame),
    onNewHost: () => {
      hosts.count += 1;
    },
  });
  return { conversation, sent, hosts, release: () => release() };
}

function replyOf(frame: Buffer | undefined) {
  assert.ok(frame !== undefined, "nothing was answered");
  const [parsed] = new FrameParser().push(frame);
  assert.equal(parsed?.type, MessageType.response);
  return { streamId: parsed.streamId, ...fromBinary(ResponseSchema, parsed.data) };
}

test("frames are found however the bytes are cut", () => {
  const frames = [requestFrame(1, "Wait"), requestFrame(3, "Nothing")];
  const bytes = Buffer.concat(frames);
  for (let size = 1; size <= bytes.length; size += 1) {
    const parser = new FrameParser();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) {
      found.push(...parser.push(bytes.subarray(at, at + size)));
    }
    assert.deepEqual(
      found.map((frame) => [frame.streamId, frame.data.length]),
      frames.map((frame, index) => [1 + 2 * index, frame.length - 10]),
    );
  }
});

test("calls are answered with their results, errors and an empty message", async () => {
  const { conversation, sent } = startConversation();
  conversation.receive(
    Buffer.concat([
      requestFrame(1, "Wait"),
      requestFrame(3, "Nothing"),
      requestFrame(5, "Fail"),
      requestFrame(7, "Unknown"),
    ]),
  );
  await setImmediate();
  const replies = new Map(sent.map(replyOf).map((reply) => [reply.streamId, reply]));
  assert.deepEqual(Buffer.from(replies.get(1)?.payload ?? []), Buffer.from([0x08, 7]));
  assert.equal(replies.get(3)?.status, undefined);
  assert.equal(replies.get(3)?.payload.length, 0);
  assert.equal(replies.get(5)?.status?.code, Status.notFound);
  assert.equal(replies.get(5)?.status?.message, "no c");
  assert.equal(replies.get(7)?.status?.code, Status.unimplemented);
});

test("bad calls are answered and the conversation goes on", async () => {
  const { conversation, sent } = startConversation();
  const tooLong = Buffer.alloc(10 + (4 << 20) + 1);
  tooLong.writeUInt32BE((4 << 20) + 1, 0);
  tooLong.writeUInt32BE(1, 4);
  tooLong.writeUInt8(MessageType.request, 8);
  conversation.receive(tooLong);
  conversation.receive(requestFrame(2, "Wait"));
  conversation.receive(requestFrame(3, "Wait", Buffer.from([0x0a, 9])));
  conversation.receive(makeFrame(5, MessageType.request, [Buffer.from([0xff])]));
  conversation.receive(requestFrame(7, "Wait"));
  await setImmediate();
  const codes = sent.map(replyOf).map((reply) => [reply.streamId, reply.status?.code ?? 0]);
  codes.sort(([a = 0], [b = 0]) => a - b);
  assert.deepEqual(codes, [
    [1, Status.resourceExhausted],
    [2, Status.invalidArgument],
    [3, Status.invalidArgument],
    [5, Status.invalidArgument],
    [7, 0],
  ]);
});

test("an answer never reaches a host that did not ask", async () => {
  const { conversation, sent, hosts, release } = startConversation();
  conversation.receive(requestFrame(1, "Hold"));
  conversation.receive(requestFrame(1, "Wait"));
  await setImmediate();
  release();
  await setImmediate();
  assert.equal(hosts.count, 1);
  assert.equal(sent.length, 1);
  assert.deepEqual(Buffer.from(replyOf(sent[0]).payload), Buffer.from([0x08, 7]));
});

test("half a frame of a host that hung up is forgotten", async () => {
  const { conversation, sent } = startConversation();
  conversation.receive(requestFrame(1, "Wait").subarray(0, 12));
  conversation.end();
  conversation.receive(requestFrame(1, "Wait"));
  await setImmediate();
  assert.equal(sent.length, 1);
});
