// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Task } from "../generated/containerd/task_pb.ts";
import { Task as TaskV3 } from "../generated/containerd/task_v3_pb.ts";
import { sandboxKey } from "../host/sandbox-key.ts";
import { createPod } from "../sandbox/create-pod.ts";
import { tearDownOwn } from "../sandbox/pod-journal.ts";
import { TtrpcServer } from "../ttrpc/server.ts";
import type { ShimArguments } from "./arguments.ts";
import { forwardTo } from "./events/forward.ts";
import { EventPublisher } from "./events/publisher.ts";
import { IdleTimer } from "./idle-timer.ts";
import { openShimLog, type ShimLog } from "./log.ts";
import { type RuntimeOptions, readStartOptions } from "./options.ts";
import { OwnSocket } from "./own-socket.ts";
import { OPTIONS_VARIABLE } from "./start/daemon-process.ts";
import { Containers } from "./task/container.ts";
import type { TaskContext } from "./task/context.ts";
import { taskHandlers } from "./task/handlers.ts";
import { Tasks } from "./task/tasks.ts";
import { startTemplateBuilder } from "./template-builder.ts";

/** The listening socket that `start` has made. */
const LISTENING_FD = 3;
/** Less than a client waits for the answer to a Shutdown. */
const FLUSH_MS = 2_000;
/** For a client to connect after `start` has told it where. */
const FIRST_VISIT_MS = 15_000;
const IDLE_MS = 5_000;
/** For a pod that is being made to undo what it has made. */
const GIVE_UP_MS = 20_000;
/** For the answer to the last call to get out. */
const LAST_WORDS_MS = 100;

/** Serves the Task API for one pod, until it is shut down, has nothing to do, or is told to end. */
export function serve(options: ShimArguments): void {
  const key = sandboxKey(options);
  const log = openShimLog({ ...options, key });
  const { logger } = log;
  const socket = new OwnSocket(options.socket);
  const publisher = makePublisher(options, logger);
  const containers = new Containers();
  const making = new Making();
  const context: TaskContext = {
    id: options.id,
    namespace: options.namespace,
    socketPath: options.socket,
    startOptions: startOptions(options),
    log: logger,
    containers,
    publish: (event) => publisher?.publish(event),
    createPod: (request) =>
      making.add(
        createPod({
          ...request,
          unwanted: making.unwanted,
          onJournal: () => log.openFile(),
          onTemplateMissing: (machine) =>
            startTemplateBuilder(machine, {
              configurationPath: request.configurationPath,
              log: logger,
            }),
        }),
      ),
    pod: undefined,
  };
  const tasks = new Tasks(context);
  const end = async (why: string): Promise<void> => {
    logger.info(`the shim ends: ${why}`);
    // Nobody else may find this shim any more.
    socket.remove();
    await context.pod?.destroy().catch((error: unknown) => {
      logger.error("the pod is not cleaned up wholly", { error });
    });
    await publisher?.flush(FLUSH_MS);
    setTimeout(() => process.exit(0), LAST_WORDS_MS);
  };
  const idle = new IdleTimer({
    firstMs: FIRST_VISIT_MS,
    laterMs: IDLE_MS,
    // Without its socket nobody can come back: somebody has cleaned up after this shim.
    isUnused: () => containers.isEmpty || !socket.isThere,
    onIdle: () => void end("nothing to do"),
  });
  const handlers = taskHandlers(tasks, async () => {
    if (containers.isEmpty) await end("it was shut down");
  });
  const server = new TtrpcServer().register(Task, handlers).register(TaskV3, handlers);
  listen(server, idle);
  onSignals(async (signal) => {
    logger.warn(`the shim ends on ${signal}`);
    await making.giveUp();
    await tearDownOwn(key).catch((error: unknown) => logger.error("clean-up failed", { error }));
    await end(signal);
  }, log);
}

/** A pod that is being made when the shim is told to end: what it still acquired, nobody would know of. */
class Making {
  readonly #controller = new AbortController();
  #pod: Promise<unknown> = Promise.resolve();

  get unwanted(): AbortSignal {
    return this.#controller.signal;
  }

  add<Pod>(pod: Promise<Pod>): Promise<Pod> {
    this.#pod = pod.catch(() => {});
    return pod;
  }

  /** Resolves when it is wholly there, or wholly gone; but to end must not take for ever. */
  async giveUp(): Promise<void> {
    this.#controller.abort();
    await Promise.race([this.#pod, delay(GIVE_UP_MS, undefined, { ref: false })]);
  }
}

function listen(server: TtrpcServer, idle: IdleTimer): Server {
  const listening = createServer((socket) => {
    const leave = idle.enter();
    void server.serve(socket).closed.then(leave);
  });
  return listening.listen({ fd: LISTENING_FD });
}

/** Without containerd there is nobody to tell. */
function makePublisher(options: ShimArguments, log: ShimLog["logger"]): EventPublisher | undefined {
  const address = process.env.TTRPC_ADDRESS;
  if (address === undefined || address === "") return undefined;
  return new EventPublisher({ send: forwardTo(address, options.namespace), log });
}

/** What `start` found on its standard input; read when it is needed, so that a client is told. */
function startOptions(options: ShimArguments): () => RuntimeOptions {
  const input = Buffer.from(process.env[OPTIONS_VARIABLE] ?? "", "base64");
  delete process.env[OPTIONS_VARIABLE];
  return () => readStartOptions(input, options);
}

function onSignals(end: (signal: string) => Promise<void>, { logger }: ShimLog): void {
  let isEnding = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (!isEnding) void end(signal);
      isEnding = true;
    });
  }
  // A terminal or a reader that goes away is none of the shim's business.
  for (const signal of ["SIGHUP", "SIGPIPE"] as const) process.on(signal, () => {});
  const report = (error: unknown): void => logger.error("an unforeseen failure", { error });
  process.on("uncaughtException", report);
  process.on("unhandledRejection", report);
}
