// SPDX-License-Identifier: Apache-2.0
import type { DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

/** What a handler may want to know beside the request. */
export interface CallContext {
  /** How long the caller waits; undefined: for ever. */
  timeoutMs: number | undefined;
  metadata: ReadonlyMap<string, readonly string[]>;
  /** Aborted when the caller's connection ends. */
  signal: AbortSignal;
}

/** One function per method, by its name in lower camel case; a missing one is "unimplemented". */
export type ServiceHandlers<Service extends DescService> = {
  [Name in keyof Service["method"]]?: (
    request: MessageShape<Service["method"][Name]["input"]>,
    context: CallContext,
  ) =>
    | Promise<MessageInitShape<Service["method"][Name]["output"]>>
    | MessageInitShape<Service["method"][Name]["output"]>;
};

/** Takes and gives encoded messages. */
export type RawHandler = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array>;

/** Service name to method name to handler. */
export type HandlerTable = ReadonlyMap<string, ReadonlyMap<string, RawHandler>>;
