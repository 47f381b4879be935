// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { loadedDefaults } from "../../../src/config/load.ts";
import type { MukonError } from "../../../src/errors/mukon-error.ts";
import { TaskExitSchema } from "../../../src/generated/containerd/events_pb.ts";
import { createLogger } from "../../../src/logging/logger.ts";
import type { PodRequest } from "../../../src/sandbox/create-pod.ts";
import type { ExitedEvent, OomEvent } from "../../../src/sandbox/messages/events.ts";
import type { TaskEvent } from "../../../src/shim/events/task-events.ts";
import { Containers } from "../../../src/shim/task/container.ts";
import type { TaskContext } from "../../../src/shim/task/context.ts";
import type { TaskKeeper, TaskPod } from "../../../src/shim/task/task-pod.ts";
import { type Target, Tasks } from "../../../src/shim/task/tasks.ts";

export type KeeperCall = { method: string; params: Record<string, unknown>; descriptors: number };

/** A shim whose pod is played: what it asks of the keeper, and what it tells containerd. */
export class FakeShim {
  readonly calls: KeeperCall[] = [];
  readonly events: string[] = [];
  readonly tasks: Tasks;
  readonly directory = mkdtempSync(join(tmpdir(), "mukon-shim-"));
  /** By method: what the keeper does instead of answering at once. */
  readonly answers = new Map<string, () => Promise<unknown>>();
  podRequest: PodRequest | undefined;
  destroyed = 0;
  #lose: (error: MukonError) => void = () => {};

  constructor(id = "c1") {
    const context: TaskContext = {
      id,
      namespace: "test",
      socketPath: "/run/x/s",
      startOptions: () => ({ configurationPath: undefined, configurationText: undefined }),
      log: createLogger({ component: "test", sink: () => {} }),
      containers: new Containers(),
      publish: (event) => this.events.push(describe(event)),
      createPod: async (request) => {
        this.podRequest = request;
        await this.#answer("createPod");
        return this.#pod();
      },
      pod: undefined,
    };
    this.tasks = new Tasks(context);
  }

  /** What the keeper says. */
  tell(event: ExitedEvent | OomEvent): void {
    this.podRequest?.onEvent(event);
  }

  tellExit(target: Target, status: number): void {
    const { id: containerId, execId } = target;
    this.tell({ event: "exited", containerId, execId, status, at: 1_000 });
  }

  lose(error: MukonError): void {
    this.#lose(error);
  }

  bundle(id: string, change: Record<string, unknown> = {}): string {
    const directory = mkdtempSync(join(this.directory, `${id}-`));
    const spec = { ociVersion: "1.1.0", process: { args: ["sh"], cwd: "/" }, ...change };
    writeFileSync(join(directory, "config.json"), JSON.stringify(spec));
    return directory;
  }

  async create(id: string, change: Record<string, unknown> = {}, stdin = ""): Promise<void> {
    await this.tasks.create({
      id,
      bundle: this.bundle(id, change),
      rootfs: [{ type: "erofs", source: "/layer", options: ["ro"] }],
      streams: { stdin, stdout: "", stderr: "", terminal: false },
      runtimeOptions: { configurationPath: undefined, configurationText: undefined },
    });
  }

  async exec(id: string, execId: string): Promise<void> {
    const process = JSON.stringify({ args: ["sh"], cwd: "/" });
    const streams = { stdin: "", stdout: "", stderr: "", terminal: false };
    await this.tasks.exec({ id, execId, streams, process });
  }

  methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #pod(): TaskPod {
    const keeper = new Proxy({} as TaskKeeper, {
      get:
        (_target, method) =>
        (params: Record<string, unknown>, descriptors: number[] = []) => {
          this.calls.push({ method: String(method), params, descriptors: descriptors.length });
          return this.#answer(String(method));
        },
    });
    return {
      keeper,
      vmmPid: 42,
      networkHolderPid: undefined,
      joinNetwork: async () => {
        this.calls.push({ method: "joinNetwork", params: {}, descriptors: 0 });
      },
      configuration: loadedDefaults().configuration,
      lost: new Promise((resolve) => {
        this.#lose = resolve;
      }),
      devices: {
        attach: async (node) => {
          this.calls.push({ method: "attachDevice", params: { ...node }, descriptors: 0 });
          await this.#answer("attachDevice");
          return [{ address: "0000:01:00.0", source: "05/02" }];
        },
        detach: async (devices) => {
          this.calls.push({ method: "detachDevices", params: { devices }, descriptors: 0 });
        },
      },
      attachDisk: async (path, { readOnly }) => {
        this.calls.push({ method: "attachDisk", params: { path, readOnly }, descriptors: 1 });
        await this.#answer("attachDisk");
        return { diskId: `d${this.calls.length}`, source: "05/01" };
      },
      shares: {
        addBind: async (name, bind) => this.#share("addBind", { name, bind }),
        addOverlay: async (name, layers) => this.#share("addOverlay", { name, layers }),
        remove: (name) => {
          this.calls.push({ method: "removeShare", params: { name }, descriptors: 0 });
        },
      },
      expectWrites: () => {},
      destroy: async () => {
        this.destroyed += 1;
      },
    };
  }

  async #share(method: string, params: Record<string, unknown>): Promise<void> {
    this.calls.push({ method, params, descriptors: 0 });
    await this.#answer(method);
  }

  async #answer(method: string): Promise<unknown> {
    return await (this.answers.get(method)?.() ?? Promise.resolve({}));
  }
}

function describe({ topic, typeUrl, value }: TaskEvent): string {
  if (typeUrl !== TaskExitSchema.typeName) return topic;
  const { id, exitStatus } = fromBinary(TaskExitSchema, value);
  return `${topic} ${id} ${exitStatus}`;
}
