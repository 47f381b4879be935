// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Request, RequestSchema, ResponseSchema } from "../generated/ttrpc/ttrpc_pb.ts";
import { DETAILS_METADATA, toStatus } from "./error-details.ts";
import { encodeFrame, type Frame, FrameDecoder, FrameType, MAX_PAYLOAD_BYTES } from "./frame.ts";
import type { CallContext, HandlerTable, RawHandler } from "./handlers.ts";
import { StatusCode } from "./status.ts";
import { whenClosed } from "./stream-closed.ts";
import { TtrpcError } from "./ttrpc-error.ts";

const MAX_CONCURRENT_CALLS = 4096;
/** A client that leaves more than this unread is cut off. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;
const NANOSECONDS_PER_MS = 1_000_000n;

/** One client of a server: calls run at the same time, answers go out in any order. */
export class ServerConnection {
  /** Settles when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #stream: Duplex;
  readonly #services: HandlerTable;
  readonly #decoder = new FrameDecoder();
  readonly #abort = new AbortController();
  #lastStreamId = 0;
  #running = 0;

  constructor(stream: Duplex, services: HandlerTable) {
    this.#stream = stream;
    this.#services = services;
    this.closed = whenClosed(stream);
    stream.on("data", (chunk: Buffer) => {
      for (const frame of this.#decoder.push(chunk)) this.#accept(frame);
    });
    // Most clients end without a word; that is no failure of ours.
    stream.on("error", () => this.close());
    stream.on("end", () => this.close());
    stream.on("close", () => this.close());
  }

  /** Ends the connection; handlers that still run are told by their signal. */
  close(): void {
    this.#abort.abort();
    this.#stream.destroy();
  }

  #accept(frame: Frame): void {
    if (this.#abort.signal.aborted) return;
    if (frame.type !== FrameType.REQUEST && !frame.isTooLong) return;
    const refusal = this.#refusal(frame);
    if (refusal !== undefined) {
      this.#fail(frame.streamId, refusal);
      return;
    }
    this.#lastStreamId = frame.streamId;
    this.#running += 1;
    void this.#answer(frame).then((payload) => {
      this.#running -= 1;
      this.#reply(frame.streamId, payload);
    });
  }

  #refusal(frame: Frame): TtrpcError | undefined {
    if (frame.isTooLong) {
      return new TtrpcError("MESSAGE_TOO_LARGE", "a request may have at most 4 MiB", {
        status: StatusCode.RESOURCE_EXHAUSTED,
      });
    }
    if (frame.streamId % 2 === 0 || frame.streamId <= this.#lastStreamId) {
      return new TtrpcError("CALL_REFUSED", "stream ids of a client are odd and increase", {
        status: StatusCode.INVALID_ARGUMENT,
      });
    }
    if (this.#running < MAX_CONCURRENT_CALLS) return undefined;
    return new TtrpcError("CALL_REFUSED", `more than ${MAX_CONCURRENT_CALLS} calls at once`, {
      status: StatusCode.RESOURCE_EXHAUSTED,
    });
  }

  /** The encoded response; never rejects. */
  async #answer(frame: Frame): Promise<Uint8Array> {
    let request: Request | undefined;
    try {
      request = decodeRequest(frame.payload);
      const handler = this.#find(request);
      const payload = await handler(request.payload, contextOf(request, this.#abort.signal));
      const response = toBinary(ResponseSchema, create(ResponseSchema, { payload }));
      if (response.length <= MAX_PAYLOAD_BYTES) return response;
      throw new TtrpcError("MESSAGE_TOO_LARGE", "the answer has more than 4 MiB", {
        status: StatusCode.RESOURCE_EXHAUSTED,
      });
    } catch (error) {
      return failure(error, { isDetailed: request !== undefined && knowsDetails(request) });
    }
  }

  #find(request: Request): RawHandler {
    const handler = this.#services.get(request.service)?.get(request.method);
    if (handler !== undefined) return handler;
    // containerd falls back to an older service on this very status.
    throw new TtrpcError("CALL_UNKNOWN", `there is no ${request.service}/${request.method}`, {
      status: StatusCode.UNIMPLEMENTED,
    });
  }

  #fail(streamId: number, error: unknown): void {
    this.#reply(streamId, failure(error, { isDetailed: false }));
  }

  #reply(streamId: number, payload: Uint8Array): void {
    if (this.#stream.destroyed) return;
    if (this.#stream.writableLength > MAX_BUFFERED_BYTES) this.close();
    else this.#stream.write(encodeFrame(streamId, FrameType.RESPONSE, payload));
  }
}

function failure(error: unknown, options: { isDetailed: boolean }): Uint8Array {
  return toBinary(ResponseSchema, create(ResponseSchema, { status: toStatus(error, options) }));
}

function knowsDetails({ metadata }: Request): boolean {
  const { key: wanted } = DETAILS_METADATA;
  return metadata.some(({ key, value }) => key === wanted && value === DETAILS_METADATA.value);
}

function decodeRequest(payload: Buffer): Request {
  try {
    return fromBinary(RequestSchema, payload, { readUnknownFields: false });
  } catch (cause) {
    throw new TtrpcError("CALL_REFUSED", "the request cannot be read", {
      status: StatusCode.INVALID_ARGUMENT,
      cause,
    });
  }
}

function contextOf(request: Request, signal: AbortSignal): CallContext {
  const metadata = new Map<string, string[]>();
  for (const { key, value } of request.metadata) {
    const values = metadata.get(key);
    if (values === undefined) metadata.set(key, [value]);
    else values.push(value);
  }
  const timeoutMs =
    request.timeoutNano > 0n ? Number(request.timeoutNano / NANOSECONDS_PER_MS) : undefined;
  return { timeoutMs, metadata, signal };
}
