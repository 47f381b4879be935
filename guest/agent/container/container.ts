// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { killAll, sendSignal, signalAll } from "../cgroup/control.ts";
import type { OomWatch } from "../cgroup/oom.ts";
import { AgentError, Status } from "../errors.ts";
import { asNamedUser, readAccountFiles } from "./accounts.ts";
import type { Crun } from "./crun.ts";
import { stringify } from "./json.ts";
import { type ContainerProcess, launchProcess } from "./process.ts";
import { completeExec, type ProcessSpec, processJson } from "./process-json.ts";
import type { Reaper } from "./reaper.ts";

const SIGKILL = 9;
/** How long an exec's output can still be read after its exit was told. */
const FORGET_AFTER_MS = 60_000;

export interface ContainerParts {
  readonly id: string;
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly cgroup: string;
  readonly bundle: string;
  readonly mountPoints: readonly string[];
  /** What of the host is shared with this container alone. */
  readonly sharedPaths: readonly string[];
  readonly processSpec: ProcessSpec;
  readonly oomWatch: OomWatch;
  /** A fresh prefix for names of files, see `launchProcess`. */
  nextFilePrefix(): string;
}

/** One container and its processes; the first one is known by the container's id. */
export class Container {
  readonly parts: ContainerParts;
  readonly init: ContainerProcess;
  readonly #processes = new Map<string, ContainerProcess>();
  #isStarted = false;

  constructor(parts: ContainerParts, init: ContainerProcess) {
    this.parts = parts;
    this.init = init;
    this.#processes.set(parts.id, init);
  }

  async start(): Promise<void> {
    if (this.#isStarted) throw wrongState(`container ${this.parts.id} was started before`);
    this.#isStarted = true;
    await this.parts.crun.start(this.parts.id);
  }

  async exec(execId: string, process: ProcessSpec): Promise<void> {
    if (!this.#isStarted || this.init.hasExited) {
      throw wrongState(`container ${this.parts.id} does not run`);
    }
    const previous = this.#processes.get(execId);
    if (previous !== undefined && (previous === this.init || !previous.hasExited)) {
      throw new AgentError(Status.alreadyExists, `process ${execId} is there already`);
    }
    previous?.streams.close();
    const complete = completeExec(process, this.parts.processSpec);
    const hasName = (complete.user?.username ?? "") !== "";
    const spec = hasName ? asNamedUser(complete, readAccountFiles(this.init.pid)) : complete;
    const processFile = join(this.parts.bundle, `exec-${execId}.json`);
    writeFileSync(processFile, stringify(processJson(spec)));
    const launched = await launchProcess({
      reaper: this.parts.reaper,
      filePrefix: this.parts.nextFilePrefix(),
      hasTerminal: spec.terminal,
      start: (launch) => this.parts.crun.exec(this.parts.id, processFile, launch),
    });
    this.#processes.set(execId, launched);
  }

  /** @throws AgentError NOT_FOUND */
  process(execId: string): ContainerProcess {
    const found = this.#processes.get(execId);
    if (found !== undefined) return found;
    throw new AgentError(
      Status.notFound,
      `process ${JSON.stringify(execId.slice(0, 140))} is not in container ${this.parts.id}`,
    );
  }

  /** @param execId empty for every process of the container */
  async signal(execId: string, signal: number): Promise<void> {
    if (execId !== "") {
      const target = this.process(execId);
      if (!target.hasExited && sendSignal(target.pid, signal)) return;
      throw new AgentError(Status.notFound, "ESRCH: No such process");
    }
    if (signal === SIGKILL) killAll(this.parts.cgroup);
    else if (!this.init.hasExited) await signalAll(this.parts.cgroup, signal);
  }

  async wait(execId: string): Promise<number> {
    const target = this.process(execId);
    const code = await target.exited;
    if (target !== this.init) setTimeout(() => this.#forget(execId, target), FORGET_AFTER_MS);
    return code;
  }

  forgetReaders(): void {
    for (const process of this.#processes.values()) process.forgetReaders();
  }

  closeStreams(): void {
    for (const process of this.#processes.values()) process.streams.close();
  }

  #forget(execId: string, process: ContainerProcess): void {
    process.streams.close();
    if (this.#processes.get(execId) === process) this.#processes.delete(execId);
  }
}

function wrongState(message: string): AgentError {
  return new AgentError(Status.failedPrecondition, message);
}
