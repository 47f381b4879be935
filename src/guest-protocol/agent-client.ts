// SPDX-License-Identifier: Apache-2.0
import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { MukonError } from "../errors/mukon-error.ts";
import { AgentService } from "../generated/agent/agent_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "../generated/agent/health_pb.ts";
import type { TtrpcClient } from "../ttrpc/client.ts";
import {
  type AgentMethodName,
  CHECK_DEADLINE_MS,
  DEFAULT_DEADLINE_MS,
  UNLIMITED_METHODS,
} from "./agent-deadlines.ts";

type Methods = typeof AgentService.method;
type Request<Name extends AgentMethodName> = MessageInitShape<Methods[Name]["input"]>;
type Reply<Name extends AgentMethodName> = MessageShape<Methods[Name]["output"]>;

export interface AgentCallOptions {
  /** Instead of the method's own deadline. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A process of a container; the first one's `execId` is the container's id. */
export interface ProcessAddress {
  readonly containerId: string;
  readonly execId: string;
}

const MAX_EXIT_STATUS = 255;

/**
 * Calls to the agent in the guest, each with a deadline, over one connection. The guest may lie:
 * what these methods return is within what is possible, but need not be true.
 *
 * All methods throw TtrpcError with the agent's status, or MukonError AGENT_REPLY_INVALID.
 */
export class AgentClient {
  private readonly client: TtrpcClient;

  constructor(client: TtrpcClient) {
    this.client = client;
  }

  /** Settles when the connection has ended. */
  get closed(): Promise<void> {
    return this.client.closed;
  }

  close(): void {
    this.client.close();
  }

  /** Any call, by its name in the generated code: `call("createContainer", { … })`. */
  async call<Name extends AgentMethodName>(
    name: Name,
    request: Request<Name>,
    options: AgentCallOptions = {},
  ): Promise<Reply<Name>> {
    const method = AgentService.method[name] as DescMethodUnary<
      Methods[Name]["input"],
      Methods[Name]["output"]
    >;
    return await this.client.call(method, request, { ...deadlineOf(name), ...options });
  }

  /** Returns when the agent says that it is ready. */
  async check(options: AgentCallOptions = {}): Promise<void> {
    const reply = await this.client.call(
      Health.method.check,
      {},
      { timeoutMs: CHECK_DEADLINE_MS, ...options },
    );
    if (reply.status !== HealthCheckResponse_ServingStatus.SERVING) {
      throw invalidReply("check", "it is not ready");
    }
  }

  /** Waits for the end of a process. @returns its exit status, 0 to 255 */
  async waitProcess(process: ProcessAddress, options: AgentCallOptions = {}): Promise<number> {
    const { status } = await this.call("waitProcess", process, options);
    if (status < 0 || status > MAX_EXIT_STATUS) {
      throw invalidReply("waitProcess", `the exit status is ${status}`);
    }
    return status;
  }

  /** Reads output; empty data means that the stream has ended. */
  async readOutput(
    stream: "stdout" | "stderr",
    request: ProcessAddress & { readonly maxBytes: number },
    options: AgentCallOptions = {},
  ): Promise<Uint8Array> {
    const { containerId, execId, maxBytes } = request;
    const name = stream === "stdout" ? "readStdout" : "readStderr";
    const { data } = await this.call(name, { containerId, execId, len: maxBytes }, options);
    if (data.length > maxBytes) {
      throw invalidReply(name, `${data.length} bytes came, at most ${maxBytes} were asked for`);
    }
    return data;
  }

  /** Writes some of `data`, at least one byte. @returns how many bytes were taken */
  async writeStdin(
    process: ProcessAddress,
    data: Uint8Array,
    options: AgentCallOptions = {},
  ): Promise<number> {
    const { len } = await this.call("writeStdin", { ...process, data }, options);
    // A guest that takes nothing for ever would keep its writer busy for ever.
    if (len > data.length || (len === 0 && data.length > 0)) {
      throw invalidReply("writeStdin", `${len} of ${data.length} bytes were taken`);
    }
    return len;
  }

  /** Waits until the guest's kernel kills for lack of memory. @returns the container's id */
  async nextOutOfMemory(options: AgentCallOptions = {}): Promise<string> {
    const { containerId } = await this.call("getOOMEvent", {}, options);
    return containerId;
  }
}

function deadlineOf(name: AgentMethodName): { timeoutMs?: number } {
  return UNLIMITED_METHODS.has(name) ? {} : { timeoutMs: DEFAULT_DEADLINE_MS };
}

function invalidReply(method: string, reason: string): MukonError {
  return new MukonError(
    "AGENT_REPLY_INVALID",
    `The guest's agent answered ${method} with something impossible: ${reason}.`,
  );
}
