// SPDX-License-Identifier: Apache-2.0
import type { ContainerProcess } from "../container/process.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import * as schema from "../schema/agent.ts";
import { type Method, method } from "../ttrpc/server.ts";

/** Methods that carry input, output and size of a process's terminal. */
export function streamMethods(sandbox: Sandbox): Record<string, Method> {
  const processOf = (request: { containerId: string; execId: string }): ContainerProcess =>
    sandbox.container(request.containerId).process(request.execId);
  const read = (name: "stdout" | "stderr") =>
    method([schema.ReadStreamRequest, schema.ReadStreamResponse], async (request) => ({
      data: await processOf(request).output(name).read(request.len),
    }));
  return {
    WriteStdin: method([schema.WriteStreamRequest, schema.WriteStreamResponse], async (request) => {
      await processOf(request).streams.writeInput(request.data);
      return { len: request.data.length };
    }),
    ReadStdout: read("stdout"),
    ReadStderr: read("stderr"),
    CloseStdin: method([schema.ProcessRequest, schema.Empty], (request) => {
      processOf(request).streams.closeInput();
      return {};
    }),
    TtyWinResize: method([schema.TtyWinResizeRequest, schema.Empty], (request) => {
      processOf(request).streams.resize(request.row, request.column);
      return {};
    }),
  };
}
