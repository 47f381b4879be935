// SPDX-License-Identifier: Apache-2.0
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { AgentService } from "../../src/generated/agent/agent_pb.ts";
import { Health, HealthCheckResponseSchema } from "../../src/generated/agent/health_pb.ts";
import { RequestSchema, ResponseSchema } from "../../src/generated/ttrpc/ttrpc_pb.ts";
import { encodeFrame, FrameDecoder, FrameType } from "../../src/ttrpc/frame.ts";
import type { FarEnd } from "./keeper-in-hand.ts";

type Reply = Record<string, unknown> | Error | undefined | Promise<Record<string, unknown>>;

/** Answers one call by its name; undefined: never. */
export type AgentAnswer = (method: string, request: Record<string, unknown>) => Reply;

/** Plays the guest's agent on a stream; Health.Check is answered too, unless told otherwise. */
export function playAgent(stream: FarEnd, answer: AgentAnswer): void {
  const decoder = new FrameDecoder();
  stream.onWrite = (chunk) => {
    for (const frame of decoder.push(chunk)) {
      const { method, payload } = fromBinary(RequestSchema, frame.payload);
      void reply(stream, { streamId: frame.streamId, method, payload }, answer);
    }
  };
}

async function reply(
  stream: FarEnd,
  call: { streamId: number; method: string; payload: Uint8Array },
  answer: AgentAnswer,
): Promise<void> {
  const known = AgentService.methods.find(({ name }) => name === call.method);
  const input = known === undefined ? Health.method.check.input : known.input;
  const output: DescMessage = known === undefined ? HealthCheckResponseSchema : known.output;
  const result = answer(call.method, { ...fromBinary(input, call.payload) });
  if (result === undefined) return;
  // As over a real connection, other work gets its turn between two calls.
  await new Promise(setImmediate);
  const response =
    result instanceof Error
      ? create(ResponseSchema, { status: { code: 2, message: result.message } })
      : create(ResponseSchema, {
          payload: toBinary(
            output,
            create(output, (await result) as MessageInitShape<DescMessage>),
          ),
        });
  stream.say(encodeFrame(call.streamId, FrameType.RESPONSE, toBinary(ResponseSchema, response)));
}
