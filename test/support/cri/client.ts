// SPDX-License-Identifier: Apache-2.0
import { connect } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { RuntimeService } from "../../generated/cri/runtime_pb.ts";

export type CriClient = Client<typeof RuntimeService>;

/** Nothing that CRI is asked takes longer than ten guests that boot at once. */
const TIMEOUT_MS = 240_000;

/** A client of containerd's CRI plugin, as kubelet is one: gRPC on containerd's socket. */
export function connectCri(socket: string): { client: CriClient; close: () => void } {
  const baseUrl = "http://localhost";
  const sessionManager = new Http2SessionManager(baseUrl, undefined, {
    createConnection: () => connect(socket),
  });
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    defaultTimeoutMs: TIMEOUT_MS,
  });
  return { client: createClient(RuntimeService, transport), close: () => sessionManager.abort() };
}
