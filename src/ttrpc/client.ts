// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { RequestSchema, ResponseSchema } from "../generated/ttrpc/ttrpc_pb.ts";
import { DETAILS_METADATA, fromStatus } from "./error-details.ts";
import { encodeFrame, type Frame, FrameDecoder, FrameType, MAX_PAYLOAD_BYTES } from "./frame.ts";
import { StatusCode } from "./status.ts";
import { whenClosed } from "./stream-closed.ts";
import { TtrpcError } from "./ttrpc-error.ts";

const NANOSECONDS_PER_MS = 1_000_000;
const MAX_STREAM_ID = 0xffffffff;
/** More than this unread by the other side: it hangs, and calls are refused. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;
/** Longest time that setTimeout can count. */
const MAX_TIMER_MS = 0x7fffffff;

export interface ClientOptions {
  /**
   * Take code and hint of errors from the other side. Only for a shim that is root's: a guest
   * could speak to the user in mukon's name.
   */
  isPeerTrusted?: boolean;
}

export interface CallOptions {
  /** Told to the other side, and kept here too; default: no limit. */
  timeoutMs?: number;
  metadata?: Readonly<Record<string, string>>;
  signal?: AbortSignal;
  /** Instead of the name of the method's own service. */
  serviceName?: string;
}

interface PendingCall {
  resolve(payload: Uint8Array): void;
  reject(error: TtrpcError): void;
}

/** Calls over one connection, any number at a time. The other side may send anything at all. */
export class TtrpcClient {
  /** Settles when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #isPeerTrusted: boolean;
  readonly #decoder = new FrameDecoder();
  readonly #pending = new Map<number, PendingCall>();
  #nextStreamId = 1;
  #end: TtrpcError | undefined;

  constructor(stream: Duplex, options: ClientOptions = {}) {
    this.#stream = stream;
    this.#isPeerTrusted = options.isPeerTrusted ?? false;
    this.closed = whenClosed(stream);
    if (stream.destroyed) this.#end = closedError();
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.on("error", (cause) => this.#finish(closedError(cause)));
    stream.on("end", () => this.#finish(closedError()));
    stream.on("close", () => this.#finish(closedError()));
  }

  /**
   * @throws TtrpcError with the other side's status (CALL_FAILED), or CALL_TIMEOUT, CALL_ABORTED,
   *   CONNECTION_CLOSED, CONNECTION_STALLED, MESSAGE_TOO_LARGE, PROTOCOL_ERROR
   */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    if (this.#end !== undefined) throw this.#end;
    const isDetailed = this.#isPeerTrusted;
    const frame = encodeCall(method, {
      request,
      options,
      isDetailed,
      streamId: this.#takeStreamId(),
    });
    if (this.#stream.writableLength > MAX_BUFFERED_BYTES) {
      throw new TtrpcError("CONNECTION_STALLED", `${method.name}: the other side does not read`, {
        status: StatusCode.UNAVAILABLE,
      });
    }
    const payload = await this.#send(frame, method.name, options);
    return decodeReply(method, payload);
  }

  /** Ends the connection; calls that are not answered yet fail. */
  close(): void {
    this.#finish(closedError());
  }

  #takeStreamId(): number {
    const streamId = this.#nextStreamId;
    if (streamId > MAX_STREAM_ID) throw closedError(new Error("all stream ids are used up"));
    this.#nextStreamId += 2;
    return streamId;
  }

  #send(frame: Buffer, name: string, options: CallOptions): Promise<Uint8Array> {
    const streamId = frame.readUInt32BE(4);
    const { timeoutMs, signal } = options;
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    const reply = new Promise<Uint8Array>((resolve, reject) => {
      this.#pending.set(streamId, { resolve, reject });
      abort = () => reject(abortedError(name));
      if (signal?.aborted) {
        abort();
        return;
      }
      signal?.addEventListener("abort", abort, { once: true });
      if (timeoutMs !== undefined) {
        timer = setTimeout(() => reject(timeoutError(name, timeoutMs)), timerMs(timeoutMs));
      }
      this.#stream.write(frame);
    });
    // There is no way to take a call back: a late reply finds nobody waiting.
    return reply.finally(() => {
      this.#pending.delete(streamId);
      clearTimeout(timer);
      if (abort !== undefined) signal?.removeEventListener("abort", abort);
    });
  }

  #read(chunk: Buffer): void {
    if (this.#end !== undefined) return;
    for (const frame of this.#decoder.push(chunk)) {
      if (frame.isTooLong) {
        this.#finish(protocolError("a frame longer than 4 MiB"));
        return;
      }
      if (frame.type === FrameType.RESPONSE) this.#answer(frame);
    }
  }

  #answer(frame: Frame): void {
    const call = this.#pending.get(frame.streamId);
    if (call === undefined) return;
    try {
      const response = fromBinary(ResponseSchema, frame.payload, { readUnknownFields: false });
      const { status } = response;
      if (status === undefined || status.code === StatusCode.OK) call.resolve(response.payload);
      else call.reject(fromStatus(status, { isTrusted: this.#isPeerTrusted }));
    } catch (cause) {
      call.reject(protocolError("a response that cannot be read", cause));
    }
  }

  #finish(reason: TtrpcError): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    this.#stream.destroy();
    for (const call of this.#pending.values()) call.reject(reason);
    this.#pending.clear();
  }
}

interface OutgoingCall<I extends DescMessage> {
  request: MessageInitShape<I>;
  options: CallOptions;
  streamId: number;
  /** What is mukon's own of an error is wanted. */
  isDetailed: boolean;
}

function encodeCall<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  call: OutgoingCall<I>,
): Buffer {
  const { timeoutMs, metadata, serviceName } = call.options;
  const message = create(RequestSchema, {
    service: serviceName ?? method.parent.typeName,
    method: method.name,
    payload: toBinary(method.input, create(method.input, call.request)),
    timeoutNano: BigInt(Math.round((timeoutMs ?? 0) * NANOSECONDS_PER_MS)),
    metadata: [
      ...Object.entries(metadata ?? {}).map(([key, value]) => ({ key, value })),
      ...(call.isDetailed ? [DETAILS_METADATA] : []),
    ],
  });
  const payload = toBinary(RequestSchema, message);
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new TtrpcError("MESSAGE_TOO_LARGE", `${method.name}: ${payload.length} bytes`, {
      status: StatusCode.RESOURCE_EXHAUSTED,
    });
  }
  return encodeFrame(call.streamId, FrameType.REQUEST, payload);
}

function decodeReply<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  payload: Uint8Array,
): MessageShape<O> {
  try {
    return fromBinary(method.output, payload, { readUnknownFields: false });
  } catch (cause) {
    throw protocolError(`an answer to ${method.name} that cannot be read`, cause);
  }
}

function timerMs(timeoutMs: number): number {
  return Math.min(Math.max(timeoutMs, 0), MAX_TIMER_MS);
}

function closedError(cause?: unknown): TtrpcError {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new TtrpcError("CONNECTION_CLOSED", `the connection is closed${why}`, {
    status: StatusCode.UNAVAILABLE,
    cause,
  });
}

function protocolError(what: string, cause?: unknown): TtrpcError {
  return new TtrpcError("PROTOCOL_ERROR", `the other side sent ${what}`, {
    status: StatusCode.INTERNAL,
    cause,
  });
}

function timeoutError(name: string, timeoutMs: number): TtrpcError {
  return new TtrpcError("CALL_TIMEOUT", `${name} was not answered within ${timeoutMs} ms`, {
    status: StatusCode.DEADLINE_EXCEEDED,
  });
}

function abortedError(name: string): TtrpcError {
  return new TtrpcError("CALL_ABORTED", `${name} was given up`, { status: StatusCode.CANCELLED });
}
