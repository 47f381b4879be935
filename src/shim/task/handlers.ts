// SPDX-License-Identifier: Apache-2.0
import { type Any, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { MukonError } from "../../errors/mukon-error.ts";
import type { Task } from "../../generated/containerd/task_pb.ts";
import { Status } from "../../generated/containerd/task_types_pb.ts";
import { cgroupMode } from "../../linux/cgroup-mode.ts";
import type { ServiceHandlers } from "../../ttrpc/handlers.ts";
import { VERSION } from "../../version.ts";
import { readTaskOptions } from "../options.ts";
import { toTtrpcError } from "./errors.ts";
import { toMetrics } from "./metrics.ts";
import type { Exit, ProcessState } from "./process.ts";
import type { Tasks } from "./tasks.ts";

type Handlers = Required<ServiceHandlers<typeof Task>>;

const STATUSES: Readonly<Record<ProcessState, Status>> = {
  created: Status.CREATED,
  starting: Status.CREATED,
  running: Status.RUNNING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
};

/** The Task API, versions 2 and 3 alike, as calls of {@link Tasks}. */
export function taskHandlers(tasks: Tasks, onShutdown: () => Promise<void>): Handlers {
  const handlers: Handlers = {
    ...lifeCycleHandlers(tasks),
    ...processHandlers(tasks),
    shutdown: async () => {
      await onShutdown();
      return {};
    },
  };
  return withStatuses(handlers);
}

type LifeCycle = "create" | "start" | "delete" | "state" | "wait" | "connect" | "pids";

function lifeCycleHandlers(tasks: Tasks): Pick<Handlers, LifeCycle> {
  return {
    create: async ({ id, bundle, rootfs, options, ...request }) => {
      if (request.checkpoint !== "") throw unsupported("restoring a checkpoint");
      const runtimeOptions = readTaskOptions(options);
      const streams = streamsOf(request);
      const container = await tasks.create({ id, bundle, rootfs, streams, runtimeOptions });
      return { pid: container.pid };
    },
    start: async (target) => ({ pid: (await tasks.start(target)).pid }),
    delete: async (target) => {
      const { container, exit } = await tasks.delete(target);
      return { pid: container.pid, ...exitFields(exit) };
    },
    state: (target) => {
      const { container, process } = tasks.state(target);
      const isUnstartedExec = target.execId !== "" && process.state === "created";
      return {
        id: container.id,
        bundle: container.bundle,
        pid: isUnstartedExec ? 0 : container.pid,
        status: STATUSES[process.state],
        ...process.streams,
        ...(process.exit === undefined ? {} : exitFields(process.exit)),
        execId: target.execId,
      };
    },
    wait: async (target) => exitFields(await tasks.wait(target)),
    connect: ({ id }) => ({
      shimPid: process.pid,
      taskPid: tasks.find(id)?.pid ?? 0,
      version: VERSION,
    }),
    // Also for a container that has ended: containerd takes one without any for a leaked one.
    pids: ({ id }) => ({ processes: [{ pid: tasks.state({ id, execId: "" }).container.pid }] }),
  };
}

function processHandlers(tasks: Tasks): Omit<Handlers, LifeCycle | "shutdown"> {
  return {
    exec: async ({ id, execId, spec, ...request }) => {
      await tasks.exec({ id, execId, streams: streamsOf(request), process: jsonOf(spec) });
      return {};
    },
    kill: async ({ id, execId, signal, all }) => {
      await tasks.kill({ id, execId }, signal, all);
      return {};
    },
    pause: async ({ id }) => {
      await tasks.pause(id);
      return {};
    },
    resume: async ({ id }) => {
      await tasks.resume(id);
      return {};
    },
    resizePty: async ({ id, execId, width, height }) => {
      await tasks.resize({ id, execId }, { width, height });
      return {};
    },
    closeIO: async ({ id, execId, stdin }) => {
      if (stdin) await tasks.closeInput({ id, execId });
      return {};
    },
    update: async ({ id, resources }) => {
      await tasks.update(id, jsonOf(resources));
      return {};
    },
    stats: async ({ id }) => ({ stats: toMetrics(await tasks.stats(id), cgroupMode()) }),
    checkpoint: () => {
      throw unsupported("making a checkpoint");
    },
  };
}

/** Every failure gets the status that containerd acts on. */
function withStatuses(handlers: Handlers): Handlers {
  const wrapped = Object.entries(handlers).map(([name, handler]) => {
    const call = handler as (...args: unknown[]) => unknown;
    const guarded = async (...args: unknown[]): Promise<unknown> => {
      try {
        return await call(...args);
      } catch (error) {
        throw toTtrpcError(error);
      }
    };
    return [name, guarded];
  });
  return Object.fromEntries(wrapped) as Handlers;
}

function exitFields(exit: Exit) {
  return { exitStatus: exit.status, exitedAt: timestampFromDate(exit.at) };
}

function streamsOf(request: { stdin: string; stdout: string; stderr: string; terminal: boolean }) {
  const { stdin, stdout, stderr, terminal } = request;
  return { stdin, stdout, stderr, terminal };
}

/** OCI documents travel as JSON, whatever their type is called. */
function jsonOf(any: Any | undefined): string {
  return Buffer.from(any?.value ?? []).toString("utf8");
}

function unsupported(what: string): MukonError {
  return new MukonError("CALL_UNSUPPORTED", `${what} is not supported`);
}
