// SPDX-License-Identifier: Apache-2.0
import * as schema from "../../../guest/agent/schema/agent.ts";
import { Conversation, type Method, method } from "../../../guest/agent/ttrpc/server.ts";
import type { RawPort } from "./port.ts";

const SERVING = 1;
const IMPOSSIBLE_STATUS = 0x7fff_ffff;
const TOO_MUCH = Buffer.alloc(3 * 1024 * 1024, "x");
const SAYS_DONE = [
  "ReseedRandomDev",
  "SetGuestDateTime",
  "CreateSandbox",
  "CreateContainer",
  "StartContainer",
  "ExecProcess",
  "SignalProcess",
  "CloseStdin",
  "TtyWinResize",
  "RemoveContainer",
  "DestroySandbox",
];

/**
 * Says that all was done and does none of it. Its container has an exit status that cannot be, more
 * output than was asked for, and no memory in places that are not its own; or else (`doesEnd`
 * false) it writes for ever and never ends.
 */
export function lie(port: RawPort, options: { doesEnd: boolean }): void {
  const methods = new Map<string, Method>();
  const serve = (name: string, handler: Method): unknown =>
    methods.set(`grpc.AgentService/${name}`, handler);
  for (const name of SAYS_DONE)
    serve(
      name,
      method([schema.Empty, schema.Empty], () => ({})),
    );
  methods.set(
    "grpc.Health/Check",
    method([schema.CheckRequest, schema.HealthCheckResponse], () => ({ status: SERVING })),
  );
  serve(
    "GetOOMEvent",
    method([schema.Empty, schema.OomEvent], () => ({ containerId: "../../etc/passwd" })),
  );
  serve(
    "WaitProcess",
    method([schema.ProcessRequest, schema.WaitProcessResponse], () =>
      options.doesEnd ? { status: IMPOSSIBLE_STATUS } : new Promise(() => {}),
    ),
  );
  const read = method([schema.ReadStreamRequest, schema.ReadStreamResponse], ({ len }) => ({
    data: options.doesEnd ? TOO_MUCH : TOO_MUCH.subarray(0, len),
  }));
  serve("ReadStdout", read);
  serve("ReadStderr", read);
  const send = (frame: Buffer): void => port.send(frame);
  const conversation = new Conversation({ methods, send, onNewHost: () => {} });
  port.onData((data) => conversation.receive(Buffer.from(data)));
}
