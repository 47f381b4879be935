// SPDX-License-Identifier: Apache-2.0
import { AgentError, asAgentError, Status } from "../errors.ts";
import { debug } from "../log.ts";
import { decode } from "../protobuf/decode.ts";
import { delimited, type Encoded, encode } from "../protobuf/encode.ts";
import {
  bytes,
  type Infer,
  int32,
  int64,
  message,
  type Partially,
  type Schema,
  string,
} from "../protobuf/field.ts";
import { type Frame, FrameParser, MAX_DATA_BYTES, MessageType, makeFrame } from "./frame.ts";

const Request = { service: string(1), method: string(2), payload: bytes(3), timeoutNano: int64(4) };
const ErrorResponse = { status: message(1, { code: int32(1), message: string(2) }) };
/** Number of the payload in a response. */
const PAYLOAD_FIELD = 2;

/** Answers one method: takes and gives encoded messages. */
export type Method = (payload: Buffer) => Promise<Encoded>;

/** Keys are `service/method`. */
export type Methods = ReadonlyMap<string, Method>;

/** Joins a handler with the schemas of what it takes and gives. */
export function method<I extends Schema, O extends Schema>(
  schemas: readonly [I, O],
  handle: (request: Infer<I>) => Promise<Partially<Infer<O>>> | Partially<Infer<O>>,
): Method {
  const [requestSchema, responseSchema] = schemas;
  return async (payload) => encode(responseSchema, await handle(decode(requestSchema, payload)));
}

export interface ConversationOptions {
  readonly methods: Methods;
  readonly send: (frame: Buffer) => void;
  /** Another host speaks than before: whoever waited for something is gone. */
  readonly onNewHost: () => void;
}

/**
 * Calls over the one port to the host. Hosts may follow each other so quickly that no disconnect is
 * seen, and a clone of this guest sees none at all; but stream ids only ever grow within one
 * conversation, so one that does not grow begins the next. Answers never reach the wrong one.
 */
export class Conversation {
  readonly #options: ConversationOptions;
  #parser = new FrameParser();
  #lastStreamId = 0;
  #number = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  receive(chunk: Buffer): void {
    for (const frame of this.#parser.push(chunk)) {
      if (frame.type !== MessageType.request) continue;
      if (frame.streamId <= this.#lastStreamId) this.#begin();
      this.#lastStreamId = frame.streamId;
      void this.#answer(frame);
    }
  }

  /** The host has hung up: half a frame of it is worth nothing. */
  end(): void {
    this.#parser = new FrameParser();
    this.#begin();
  }

  #begin(): void {
    this.#lastStreamId = 0;
    this.#number += 1;
    this.#options.onNewHost();
  }

  async #answer(frame: Frame): Promise<void> {
    const conversation = this.#number;
    let reply: Encoded;
    try {
      reply = delimited(PAYLOAD_FIELD, await this.#call(frame));
    } catch (error) {
      reply = failureReply(asAgentError(error));
    }
    if (conversation !== this.#number) return;
    this.#options.send(makeFrame(frame.streamId, MessageType.response, reply.chunks));
  }

  async #call(frame: Frame): Promise<Encoded> {
    if (frame.streamId % 2 === 0) {
      throw new AgentError(Status.invalidArgument, `stream id ${frame.streamId} is even`);
    }
    if (frame.isTooLong) {
      throw new AgentError(Status.resourceExhausted, `a request exceeds ${MAX_DATA_BYTES} bytes`);
    }
    const request = decode(Request, frame.data);
    const name = `${request.service}/${request.method}`;
    const handler = this.#options.methods.get(name);
    if (handler === undefined) {
      throw new AgentError(Status.unimplemented, `${name} is not served by this agent`);
    }
    debug(name);
    return handler(request.payload);
  }
}

function failureReply(error: AgentError): Encoded {
  return encode(ErrorResponse, {
    status: { code: error.status, message: error.message.slice(0, 4096) },
  });
}
