// SPDX-License-Identifier: Apache-2.0
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { parseOciProcess, parseOciResources } from "../../guest-protocol/oci-spec.ts";
import type { Stats } from "../../sandbox/messages/stats.ts";
import {
  deletedEvent,
  execAddedEvent,
  execStartedEvent,
  pausedEvent,
  resumedEvent,
  startedEvent,
} from "../events/task-events.ts";
import type { Container } from "./container.ts";
import type { TaskContext } from "./context.ts";
import { type CreateRequest, createContainer } from "./create.ts";
import { Exits, KILLED_STATUS } from "./exits.ts";
import { type Exit, type ProcessState, type StreamPaths, TaskProcess } from "./process.ts";
import { openStreams } from "./stdio.ts";
import type { TaskKeeper } from "./task-pod.ts";

const SIGKILL = 9;
const SIGTERM = 15;
/** How long a guest may take to end a killed pod before its VM is ended instead. */
const KILL_GRACE_MS = 10_000;
/** How long one of the pod's other containers may take, before it is taken for ended. */
const MEMBER_KILL_GRACE_MS = 30_000;

/** One process of one container. */
export interface Target {
  id: string;
  /** "" for the container's first process. */
  execId: string;
}

export interface ExecRequest extends Target {
  streams: StreamPaths;
  /** OCI process, as JSON. */
  process: string;
}

interface Deleted {
  container: Container;
  exit: Exit;
}

/** What containerd asks of tasks, whatever version of its API it speaks. */
export class Tasks {
  readonly #context: TaskContext;
  readonly #exits: Exits;
  /** Those that are under way. */
  readonly #deletions = new Map<TaskProcess, Promise<Deleted>>();

  constructor(context: TaskContext) {
    this.#context = context;
    this.#exits = new Exits(context);
  }

  async create(request: CreateRequest): Promise<Container> {
    return await createContainer(this.#context, this.#exits, request);
  }

  async start(target: Target): Promise<Container> {
    const { container, process } = this.#find(target);
    this.#require(process, ["created"], "start");
    const isExec = target.execId !== "";
    if (isExec) this.#require(container.init, ["running"], "have an exec started in it");
    process.become("starting");
    try {
      const { containerId, execId } = process;
      if (isExec) await this.#keeper.startExec({ containerId, execId });
      else await this.#startInit(container);
    } catch (error) {
      process.become("created");
      throw error;
    }
    process.become("running");
    // The pod may have been lost meanwhile; its end has been told then.
    if (process.exit === undefined) {
      const { publish } = this.#context;
      publish(isExec ? execStartedEvent(process, container.pid) : startedEvent(container));
    }
    if (!isExec) await container.hooks.onStarted(this.#context.pod?.networkHolderPid);
    this.#exits.onStarted(container, process);
    return container;
  }

  async exec(request: ExecRequest): Promise<void> {
    const { id, execId, streams } = request;
    const container = this.#context.containers.get(id);
    this.#require(container.init, ["running", "paused", "created", "starting"], "have an exec");
    if (container.execs.has(execId) || execId === "") {
      throw new MukonError("TASK_EXISTS", `exec ${execId} is there already in container ${id}`);
    }
    const definition = parseOciProcess(request.process);
    const process = new TaskProcess({ containerId: id, execId, streams });
    container.execs.set(execId, process);
    try {
      const { namespace } = this.#context;
      const open = await openStreams(streams, { containerId: id, namespace });
      process.logTo(open.logProgram);
      try {
        const { stdio, descriptors } = open;
        await this.#keeper.exec(
          { containerId: id, execId, process: { ...definition }, stdio },
          descriptors,
        );
      } finally {
        open.close();
      }
    } catch (error) {
      container.execs.delete(execId);
      void process.endLog();
      throw error;
    }
    this.#context.publish(execAddedEvent(process));
  }

  async kill(target: Target, signal: number, all: boolean): Promise<void> {
    const { container, process } = this.#find(target);
    const { containerId, execId } = process;
    if (process.exit !== undefined) throw alreadyEnded(target);
    if (execId !== "") process.require(["starting", "running", "paused"], "be signalled");
    const isUnstarted = process.state === "created";
    if (signal === SIGKILL && execId === "") this.#insist(container);
    try {
      await this.#keeper.signal({ containerId, execId, signal, all });
    } catch (error) {
      if (process.exit !== undefined || isGone(error)) throw alreadyEnded(target);
      if (!isUnstarted) throw error;
    }
    if (isUnstarted && process.state === "created" && (signal === SIGKILL || signal === SIGTERM)) {
      this.#exits.endUnstarted(container, signal);
    }
  }

  /**
   * Frees a process that has ended, or was never started; with a container, all that it has. A client that
   * has given up waiting and asks again waits for what is under way: nothing is taken from the guest twice.
   */
  async delete(target: Target): Promise<Deleted> {
    const { container, process } = this.#find(target);
    process.require(["created", "stopped"], "be deleted");
    const underWay = this.#deletions.get(process);
    if (underWay !== undefined) return await underWay;
    const deletion = this.#delete(container, process);
    this.#deletions.set(process, deletion);
    try {
      return await deletion;
    } finally {
      this.#deletions.delete(process);
    }
  }

  async #delete(container: Container, process: TaskProcess): Promise<Deleted> {
    const { containerId, execId } = process;
    if (execId !== "") {
      container.execs.delete(execId);
      await this.#keeper.removeExec({ containerId, execId }).catch(() => {});
      await process.endLog();
      return { container, exit: endOf(process) };
    }
    this.#exits.forget(container);
    process.end({ status: KILLED_STATUS, at: new Date() });
    if (container.isSandbox) await this.#destroyPod();
    else await this.#removeFromPod(container);
    await Promise.all([process, ...container.execs.values()].map((one) => one.endLog()));
    await container.hooks.onDeleted();
    this.#context.containers.remove(container.id);
    const exit = endOf(process);
    this.#context.publish(deletedEvent(container, exit));
    return { container, exit };
  }

  /** Settles when the process has ended; at once when it has already. */
  async wait(target: Target): Promise<Exit> {
    return await this.#find(target).process.exited;
  }

  state(target: Target): { container: Container; process: TaskProcess } {
    return this.#find(target);
  }

  find(id: string): Container | undefined {
    return this.#context.containers.find(id);
  }

  async pause(id: string): Promise<void> {
    const { init } = this.#context.containers.get(id);
    init.require(["running"], "be paused");
    await this.#keeper.pause({ containerId: id });
    init.become("paused");
    this.#context.publish(pausedEvent(id));
  }

  async resume(id: string): Promise<void> {
    const { init } = this.#context.containers.get(id);
    init.require(["paused"], "be resumed");
    await this.#keeper.resume({ containerId: id });
    init.become("running");
    this.#context.publish(resumedEvent(id));
  }

  /** Nothing to do for a process without a terminal, or one that does not run (any more). */
  async resize(target: Target, size: { width: number; height: number }): Promise<void> {
    const { process } = this.#find(target);
    if (!process.streams.terminal || !process.isAlive) return;
    const { containerId, execId } = process;
    await this.#keeper.resize({ containerId, execId, ...size });
  }

  /** Ends a process' input; a process that has none, or has ended, needs no end of it. */
  async closeInput(target: Target): Promise<void> {
    if (target.execId === "" && this.#context.containers.closeInputEarly(target.id)) return;
    const { process } = this.#find(target);
    if (process.exit !== undefined || process.streams.stdin === "") return;
    const { containerId, execId } = process;
    await this.#keeper.closeStdin({ containerId, execId });
  }

  async update(id: string, resources: string): Promise<void> {
    const { init } = this.#context.containers.get(id);
    init.require(["created", "starting", "running", "paused"], "be updated");
    await this.#keeper.update({ containerId: id, resources: { ...parseOciResources(resources) } });
  }

  async stats(id: string): Promise<Stats> {
    const { init } = this.#context.containers.get(id);
    if (!init.isAlive) throw new MukonError("TASK_NOT_FOUND", `container ${id} does not run`);
    return await this.#keeper.stats({ containerId: id });
  }

  async #startInit({ id: containerId, isSandbox }: Container): Promise<void> {
    // By now its client has put into the network what is to be there.
    if (isSandbox) await this.#context.pod?.joinNetwork();
    await this.#keeper.startContainer({ containerId });
  }

  get #keeper(): TaskKeeper {
    const { pod, id } = this.#context;
    if (pod !== undefined) return pod.keeper;
    throw new MukonError("POD_NOT_RUNNING", `pod ${id} is not running`);
  }

  /** Of a pod that is over, that is what its client needs to know. @throws TASK_STATE, POD_ENDED */
  #require(process: TaskProcess, states: readonly ProcessState[], what: string): void {
    const { lost } = this.#context;
    if (lost !== undefined && !states.includes(process.state)) throw lost;
    process.require(states, what);
  }

  #find({ id, execId }: Target): { container: Container; process: TaskProcess } {
    return this.#context.containers.process(id, execId);
  }

  /** A guest that hangs must not keep what its user has killed, nor a pod of which that is a part. */
  #insist(container: Container): void {
    const { init, isSandbox } = container;
    const end = (): void => {
      if (init.exit !== undefined) return;
      if (isSandbox) this.#exits.endByForce();
      else this.#exits.giveUp(container);
    };
    const timer = setTimeout(end, isSandbox ? KILL_GRACE_MS : MEMBER_KILL_GRACE_MS);
    void init.exited.then(() => clearTimeout(timer));
  }

  async #destroyPod(): Promise<void> {
    const { pod, log } = this.#context;
    await pod?.destroy().catch((error: unknown) => {
      log.error("the pod is not cleaned up wholly", { error });
    });
  }

  async #removeFromPod(container: Container): Promise<void> {
    const { pod, log } = this.#context;
    if (pod === undefined) return;
    await pod.keeper.removeContainer({ containerId: container.id }).catch((error: unknown) => {
      log.warn("the guest did not remove a container", { containerId: container.id, error });
    });
    await container.volumes.remove();
    container.shares.remove();
    await container.disks.detach();
    await container.devices.detach();
  }
}

function endOf(process: TaskProcess): Exit {
  return process.exit ?? { status: 0, at: new Date() };
}

/** To every client of the Task API, "not found" is as good as killed. */
function alreadyEnded({ id, execId }: Target): MukonError {
  const what = execId === "" ? `container ${id}` : `exec ${execId} in container ${id}`;
  return new MukonError("TASK_NOT_FOUND", `${what} has ended already: process not found`);
}

function isGone(error: unknown): boolean {
  const { code, details } = asMukonError(error);
  const NOT_FOUND = 5;
  return code === "GUEST_CALL_FAILED" && details?.agentStatus === NOT_FOUND;
}
