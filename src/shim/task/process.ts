// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { LogProgram } from "./log-program.ts";

/** Paths or URIs of the standard streams, as the client gave them; "" is /dev/null. */
export interface StreamPaths {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}

export interface Exit {
  /** 0 to 255; 128+N for signal N. */
  status: number;
  at: Date;
}

/** `starting`: the guest has been asked, and has not answered yet. */
export type ProcessState = "created" | "starting" | "running" | "paused" | "stopped";

/** A container's first process, or an exec: where it is in its life, and how it ended. */
export class TaskProcess {
  readonly containerId: string;
  /** "" for a container's first process. */
  readonly execId: string;
  readonly streams: StreamPaths;
  readonly exited: Promise<Exit>;
  #state: ProcessState = "created";
  #exit: Exit | undefined;
  #settle: (exit: Exit) => void = () => {};
  #logProgram: LogProgram | undefined;

  constructor(options: { containerId: string; execId: string; streams: StreamPaths }) {
    this.containerId = options.containerId;
    this.execId = options.execId;
    this.streams = options.streams;
    this.exited = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get state(): ProcessState {
    return this.#state;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Whether it has been started and has not ended. */
  get isAlive(): boolean {
    return this.#state === "starting" || this.#state === "running" || this.#state === "paused";
  }

  /** The program that takes the output ends after the process. */
  logTo(program: LogProgram | undefined): void {
    this.#logProgram = program;
    void this.exited.then(() => program?.end());
  }

  /** Resolves when all of the output is where it belongs, as far as the shim can tell. */
  async endLog(): Promise<void> {
    await this.#logProgram?.end();
  }

  /** @throws TASK_STATE unless it is in one of these states */
  require(states: readonly ProcessState[], operation: string): void {
    if (states.includes(this.#state)) return;
    const what = this.execId === "" ? `container ${this.containerId}` : `exec ${this.execId}`;
    throw new MukonError("TASK_STATE", `${what} is ${this.#state}, so it cannot ${operation}`);
  }

  /** A process that has ended stays so. */
  become(state: Exclude<ProcessState, "stopped">): void {
    if (this.#state !== "stopped") this.#state = state;
  }

  /** Only the first end counts; false for any other. */
  end(exit: Exit): boolean {
    if (this.#exit !== undefined) return false;
    this.#exit = exit;
    this.#state = "stopped";
    this.#settle(exit);
    return true;
  }
}
