// SPDX-License-Identifier: Apache-2.0
import { createConnection } from "node:net";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Events } from "../../generated/containerd/forward_pb.ts";
import { TtrpcClient } from "../../ttrpc/client.ts";
import { TtrpcError } from "../../ttrpc/ttrpc-error.ts";
import { EventRefused, type EventSender } from "./publisher.ts";

const TIMEOUT_MS = 5_000;

/**
 * Sends events to containerd, over one connection that is made anew whenever it has ended.
 * @param address of containerd's ttrpc socket: a path, or `unix://` and a path
 */
export function forwardTo(address: string, namespace: string): EventSender {
  const path = address.replace(/^unix:\/\//, "");
  let client: TtrpcClient | undefined;
  return async (event) => {
    client ??= await connect(path);
    const { topic, typeUrl, value, at } = event;
    const envelope = {
      timestamp: timestampFromDate(at),
      namespace,
      topic,
      event: { typeUrl, value },
    };
    try {
      await client.call(
        Events.method.forward,
        { envelope },
        { timeoutMs: TIMEOUT_MS, metadata: { "containerd-namespace-ttrpc": namespace } },
      );
    } catch (error) {
      if (isAnswer(error)) throw new EventRefused(error);
      client?.close();
      client = undefined;
      throw error;
    }
  };
}

async function connect(path: string): Promise<TtrpcClient> {
  const socket = createConnection(path);
  await new Promise<void>((done, fail) => {
    socket.once("connect", done);
    socket.once("error", fail);
  });
  return new TtrpcClient(socket);
}

/** The other side is there, and has answered. */
function isAnswer(error: unknown): boolean {
  return error instanceof TtrpcError && ["CALL_FAILED", "CALL_UNKNOWN"].includes(error.code);
}
