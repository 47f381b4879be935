// SPDX-License-Identifier: Apache-2.0
import { createConnection, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import {
  CloseIORequestSchema,
  CreateTaskRequestSchema,
  DeleteRequestSchema,
  ExecProcessRequestSchema,
  KillRequestSchema,
  ResizePtyRequestSchema,
  ShutdownRequestSchema,
  StartRequestSchema,
  StateRequestSchema,
  Task,
  WaitRequestSchema,
} from "../../generated/containerd/task_pb.ts";
import type { OciProcess } from "../../guest-protocol/oci-spec.ts";
import { TtrpcClient } from "../../ttrpc/client.ts";
import type { BundleMount } from "../container/create.ts";
import type { ContainerExit } from "../container/record.ts";
import type { StreamPaths } from "../io/fifos.ts";
import type { TerminalSize } from "../io/terminal.ts";
import { shimAddress } from "./program.ts";

/** A container's own process, or one of those that were started in it later. */
export interface ProcessReference {
  id: string;
  execId?: string;
}

export interface CreateTask {
  id: string;
  bundle: string;
  mounts: readonly BundleMount[];
  terminal: boolean;
  streams: StreamPaths;
}

export interface ExecTask {
  id: string;
  execId: string;
  terminal: boolean;
  streams: StreamPaths;
  spec: OciProcess;
}

export interface TaskState {
  status: "created" | "running" | "paused" | "stopped" | "unknown";
  pid: number;
  exitStatus: number;
  exitedAt?: string;
}

/** By the numbers of containerd.v1.types.Status. */
const STATUSES = ["unknown", "created", "running", "stopped", "paused", "paused"] as const;
const PROCESS_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Process";
const QUICK_TIMEOUT_MS = 10_000;
const SHUTDOWN_TIMEOUT_MS = 30_000;

/** The Task API of one shim, as the command line uses it. */
export class TaskClient {
  readonly #client: TtrpcClient;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#client = new TtrpcClient(socket, { isPeerTrusted: true });
  }

  /** @throws SHIM_UNREACHABLE */
  static async connect(address: string): Promise<TaskClient> {
    const path = address.replace(/^unix:\/\//, "");
    const socket = createConnection({ path });
    await new Promise<void>((done, fail) => {
      socket.once("connect", done);
      socket.once("error", (cause) =>
        fail(
          new MukonError("SHIM_UNREACHABLE", `no shim answers on ${path}: ${cause.message}`, {
            hint: "the shim has died; mukon gc cleans up after it",
            cause,
          }),
        ),
      );
    });
    return new TaskClient(socket);
  }

  close(): void {
    this.#client.close();
    this.#socket.destroy();
  }

  async create(task: CreateTask): Promise<void> {
    const request = create(CreateTaskRequestSchema, {
      id: task.id,
      bundle: task.bundle,
      rootfs: task.mounts.map((mount) => ({ ...mount, target: "" })),
      terminal: task.terminal,
      ...task.streams,
    });
    await this.#client.call(Task.method.create, request);
  }

  async exec(exec: ExecTask): Promise<void> {
    const request = create(ExecProcessRequestSchema, {
      id: exec.id,
      execId: exec.execId,
      terminal: exec.terminal,
      ...exec.streams,
      spec: { typeUrl: PROCESS_TYPE, value: Buffer.from(JSON.stringify(exec.spec)) },
    });
    await this.#client.call(Task.method.exec, request);
  }

  async start(target: ProcessReference): Promise<void> {
    await this.#client.call(Task.method.start, create(StartRequestSchema, target));
  }

  /** By what the pod of a container that has ended was lost; undefined: it was not. */
  async whyLost(id: string): Promise<MukonError | undefined> {
    try {
      // Nothing is started that has ended. What is lost is refused with the reason.
      await this.start({ id });
    } catch (error) {
      const known = asMukonError(error);
      return known.code === "POD_ENDED" || known.code === "KEEPER_PROTOCOL" ? known : undefined;
    }
    return undefined;
  }

  /** Answers when the process has ended; at once when it has already. */
  async wait(target: ProcessReference): Promise<ContainerExit> {
    const reply = await this.#client.call(Task.method.wait, create(WaitRequestSchema, target));
    return { status: reply.exitStatus, at: isoTime(reply.exitedAt) };
  }

  async state(target: ProcessReference): Promise<TaskState> {
    const reply = await this.#client.call(Task.method.state, create(StateRequestSchema, target), {
      timeoutMs: QUICK_TIMEOUT_MS,
    });
    return {
      status: STATUSES[reply.status] ?? "unknown",
      pid: reply.pid,
      exitStatus: reply.exitStatus,
      ...(reply.exitedAt === undefined ? {} : { exitedAt: isoTime(reply.exitedAt) }),
    };
  }

  async kill(target: ProcessReference, signal: number, options: { all: boolean }): Promise<void> {
    const request = create(KillRequestSchema, { ...target, signal, all: options.all });
    await this.#client.call(Task.method.kill, request, { timeoutMs: QUICK_TIMEOUT_MS });
  }

  async resize(target: ProcessReference, size: TerminalSize): Promise<void> {
    const request = create(ResizePtyRequestSchema, {
      ...target,
      width: size.columns,
      height: size.rows,
    });
    await this.#client.call(Task.method.resizePty, request, { timeoutMs: QUICK_TIMEOUT_MS });
  }

  /** No more input comes: the process sees the end of its standard input. */
  async closeInput(target: ProcessReference): Promise<void> {
    const request = create(CloseIORequestSchema, { ...target, stdin: true });
    await this.#client.call(Task.method.closeIO, request, { timeoutMs: QUICK_TIMEOUT_MS });
  }

  async delete(target: ProcessReference): Promise<void> {
    await this.#client.call(Task.method.delete, create(DeleteRequestSchema, target), {
      timeoutMs: SHUTDOWN_TIMEOUT_MS,
    });
  }

  async shutdown(id: string): Promise<void> {
    await this.#client.call(Task.method.shutdown, create(ShutdownRequestSchema, { id }), {
      timeoutMs: SHUTDOWN_TIMEOUT_MS,
    });
  }
}

/** Undefined when the container has no shim (any more). */
export async function connectToTask(id: string): Promise<TaskClient | undefined> {
  const address = shimAddress(id);
  if (address === undefined) return undefined;
  return TaskClient.connect(address).catch(() => undefined);
}

/** @throws CONTAINER_NOT_RUNNING */
export async function connectToRunning(id: string): Promise<TaskClient> {
  const task = await connectToTask(id);
  const state = await task?.state({ id }).catch(() => undefined);
  if (task !== undefined && (state?.status === "running" || state?.status === "paused"))
    return task;
  task?.close();
  throw new MukonError("CONTAINER_NOT_RUNNING", `container ${id} is not running`, {
    hint: "mukon ps --all tells what became of it",
  });
}

function isoTime(timestamp: Timestamp | undefined): string {
  return (timestamp === undefined ? new Date() : timestampDate(timestamp)).toISOString();
}
