// SPDX-License-Identifier: Apache-2.0
import type { Connections } from "../network/connections.ts";
import { Empty } from "../schema/agent.ts";
import * as schema from "../schema/forwarding.ts";
import { type Method, method } from "../ttrpc/server.ts";

/** Connections between the host and ports of the guest; not of Kata's protocol. */
export function forwardingMethods(connections: Connections): Record<string, Method> {
  return {
    Open: method([schema.OpenRequest, schema.Connection], async ({ port }) => ({
      id: await connections.open(port),
    })),
    Read: method([schema.ReadRequest, schema.ReadResponse], async ({ id, maxBytes }) => ({
      data: await connections.read(id, maxBytes),
    })),
    Write: method([schema.WriteRequest, Empty], async ({ id, data, isLast }) => {
      await connections.write(id, data, isLast);
      return {};
    }),
    Close: method([schema.Connection, Empty], ({ id }) => {
      connections.close(id);
      return {};
    }),
  };
}
