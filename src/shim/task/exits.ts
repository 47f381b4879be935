// SPDX-License-Identifier: Apache-2.0
import type { MukonError } from "../../errors/mukon-error.ts";
import type { ExitedEvent, OomEvent } from "../../sandbox/messages/events.ts";
import { exitEvent, oomEvent } from "../events/task-events.ts";
import type { Container } from "./container.ts";
import type { TaskContext } from "./context.ts";
import type { Exit, TaskProcess } from "./process.ts";

const SIGKILL = 9;
export const KILLED_STATUS = 128 + SIGKILL;
/** How a process has ended whose pod is lost; as in Kata. */
const LOST_STATUS = 255;
/** How long execs may take to end after their container's first process has. */
const EXEC_END_MS = 5_000;

/** How processes end: in the order that clients rely on, exactly once each. */
export class Exits {
  readonly #context: TaskContext;
  /** Ends that were told before the start was. */
  readonly #early = new Map<TaskProcess, Exit>();
  /** Ends of first processes whose execs have not ended yet. */
  readonly #held = new Map<Container, { exit: Exit; timer: NodeJS.Timeout }>();

  constructor(context: TaskContext) {
    this.#context = context;
  }

  /** What the keeper says. */
  onEvent(event: ExitedEvent | OomEvent): void {
    const container = this.#context.containers.find(event.containerId);
    if (container === undefined) return;
    if (event.event === "oom") {
      this.#context.publish(oomEvent(container.id));
      return;
    }
    const process = event.execId === "" ? container.init : container.execs.get(event.execId);
    if (process === undefined) return;
    const exit = { status: event.status, at: new Date(event.at) };
    if (process.state === "created" || process.state === "starting") this.#early.set(process, exit);
    else this.#end(container, process, exit);
  }

  /** To be called after the start has been announced. */
  onStarted(container: Container, process: TaskProcess): void {
    const exit = this.#early.get(process);
    if (exit === undefined) return;
    this.#early.delete(process);
    this.#end(container, process, exit);
  }

  /** A container that was killed before it was started: nobody else tells its end. */
  endUnstarted(container: Container, signal: number): void {
    this.#finish(container, { status: 128 + signal, at: new Date() });
  }

  /** VMM or keeper are gone: everything in the pod has ended, nobody knows how. */
  onLost(error: MukonError): void {
    const { consoleTail } = error.details ?? {};
    this.#context.log.error("the pod is lost", { error, consoleTail });
    this.#context.lost = error;
    this.#endAll(LOST_STATUS);
    this.#destroyPod();
  }

  /** The guest did not end a process that was killed: the pod is ended instead. */
  endByForce(): void {
    this.#context.log.warn("the guest did not end a killed process in time: ending its VM");
    this.#endAll(KILLED_STATUS);
    this.#destroyPod();
  }

  /**
   * The guest does not tell the end of a container that was killed. Its client waits for that before it ends
   * the pod, and with it whatever is left of the container.
   */
  giveUp(container: Container): void {
    const { id: containerId } = container;
    this.#context.log.warn("the guest does not tell a killed container's end", { containerId });
    for (const exec of aliveExecs(container)) this.#announce(container, exec, killed());
    this.#finish(container, killed());
  }

  /** Forgets what is held back for a container that is being deleted. */
  forget(container: Container): void {
    clearTimeout(this.#held.get(container)?.timer);
    this.#held.delete(container);
    for (const process of [container.init, ...container.execs.values()])
      this.#early.delete(process);
  }

  #end(container: Container, process: TaskProcess, exit: Exit): void {
    if (process === container.init) {
      this.#endInit(container, exit);
      return;
    }
    this.#announce(container, process, exit);
    const held = this.#held.get(container);
    if (held !== undefined && aliveExecs(container).length === 0)
      this.#finish(container, held.exit);
  }

  /** The end of the first process is told last, when its execs have ended too. */
  #endInit(container: Container, exit: Exit): void {
    const execs = aliveExecs(container);
    if (execs.length === 0) {
      this.#finish(container, exit);
      return;
    }
    if (this.#held.has(container)) return;
    const timer = setTimeout(() => {
      for (const exec of aliveExecs(container)) this.#announce(container, exec, killed());
      this.#finish(container, exit);
    }, EXEC_END_MS);
    this.#held.set(container, { exit, timer });
    for (const { execId } of execs) {
      this.#context.pod?.keeper
        .signal({ containerId: container.id, execId, signal: SIGKILL, all: false })
        .catch(() => {});
    }
  }

  #finish(container: Container, exit: Exit): void {
    this.forget(container);
    this.#announce(container, container.init, exit);
    if (!container.isSandbox) return;
    // What else was in the pod ends with it.
    this.#endAll(KILLED_STATUS);
    this.#destroyPod();
  }

  #endAll(status: number): void {
    const exit = { status, at: new Date() };
    const all = this.#context.containers.all();
    const inOrder = [...all.filter((one) => !one.isSandbox), ...all.filter((one) => one.isSandbox)];
    for (const container of inOrder) {
      const held = this.#held.get(container)?.exit;
      this.forget(container);
      for (const exec of aliveExecs(container)) this.#announce(container, exec, exit);
      this.#announce(container, container.init, held ?? exit);
    }
  }

  #announce(container: Container, process: TaskProcess, exit: Exit): void {
    if (process.end(exit)) this.#context.publish(exitEvent(process, container.pid, exit));
  }

  #destroyPod(): void {
    const { pod, log } = this.#context;
    pod?.destroy().catch((error: unknown) => {
      log.error("the pod is not cleaned up wholly", { error });
    });
  }
}

function aliveExecs(container: Container): TaskProcess[] {
  return [...container.execs.values()].filter((exec) => exec.isAlive);
}

function killed(): Exit {
  return { status: KILLED_STATUS, at: new Date() };
}
