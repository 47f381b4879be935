// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from "node:stream";
import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import type { CallContext, RawHandler, ServiceHandlers } from "./handlers.ts";
import { ServerConnection } from "./server-connection.ts";
import { StatusCode } from "./status.ts";
import { TtrpcError } from "./ttrpc-error.ts";

/** Serves any number of connections with one table of handlers. */
export class TtrpcServer {
  readonly #services = new Map<string, Map<string, RawHandler>>();

  /** Adds a service, under its own name or another one. Later ones replace earlier ones. */
  register<Service extends DescService>(
    service: Service,
    handlers: ServiceHandlers<Service>,
    options: { serviceName?: string } = {},
  ): this {
    const table = new Map<string, RawHandler>();
    for (const method of service.methods) {
      const handler = (handlers as Record<string, unknown>)[method.localName];
      if (typeof handler !== "function") continue;
      table.set(method.name, rawHandler(method, handler.bind(handlers)));
    }
    this.#services.set(options.serviceName ?? service.typeName, table);
    return this;
  }

  /** Answers the calls that come over this connection, until it ends. */
  serve(stream: Duplex): ServerConnection {
    return new ServerConnection(stream, this.#services);
  }
}

type Reply = Record<string, unknown>;
type Handler = (request: Message, context: CallContext) => Promise<Reply> | Reply;

function rawHandler(method: DescMethod, handler: Handler): RawHandler {
  return async (payload, context) => {
    const reply = await handler(decodeRequest(method, payload), context);
    return toBinary(method.output, create(method.output, reply));
  };
}

function decodeRequest(method: DescMethod, payload: Uint8Array): Message {
  try {
    return fromBinary(method.input, payload, { readUnknownFields: false });
  } catch (cause) {
    throw new TtrpcError("CALL_REFUSED", `the request of ${method.name} cannot be read`, {
      status: StatusCode.INTERNAL,
      cause,
    });
  }
}
