// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { AgentError, Status } from "../errors.ts";
import { type ConsoleSocket, listenForConsole } from "./console-socket.ts";
import type { Launch } from "./crun.ts";
import type { OutputStream } from "./output-stream.ts";
import type { Reaper } from "./reaper.ts";
import { createPipeSet, openTerminal, type ProcessStreams } from "./streams.ts";

/** A process that the host knows by an exec id. */
export class ContainerProcess {
  readonly pid: number;
  readonly streams: ProcessStreams;
  /** Resolves with the exit code, 128 and more after a signal. */
  readonly exited: Promise<number>;
  #hasExited = false;

  constructor(pid: number, streams: ProcessStreams, exited: Promise<number>) {
    this.pid = pid;
    this.streams = streams;
    this.exited = exited.then((code) => {
      this.#hasExited = true;
      streams.stdout.processEnded();
      streams.stderr?.processEnded();
      return code;
    });
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** @throws AgentError for the error output of a terminal, which has none of its own */
  output(name: "stdout" | "stderr"): OutputStream {
    const stream = this.streams[name];
    if (stream !== undefined) return stream;
    throw new AgentError(Status.failedPrecondition, "a process with a terminal has no stderr");
  }

  /** The host that asked for output is gone: what comes next is for the one that asks next. */
  forgetReaders(): void {
    this.streams.stdout.forgetReaders();
    this.streams.stderr?.forgetReaders();
  }
}

export interface LaunchOptions {
  readonly reaper: Reaper;
  /** A name, unused so far, for the launch's files; short, since a socket is among them. */
  readonly filePrefix: string;
  readonly hasTerminal: boolean;
  /** Runs crun and gives the pid of what it started. */
  start(launch: Launch): Promise<number>;
}

/** Starts a process with pipes or a terminal. */
export async function launchProcess(options: LaunchOptions): Promise<ContainerProcess> {
  const pidFile = `${options.filePrefix}.pid`;
  try {
    return await (options.hasTerminal
      ? launchWithTerminal(options, pidFile)
      : launchWithPipes(options, pidFile));
  } finally {
    rmSync(pidFile, { force: true });
  }
}

async function launchWithPipes(options: LaunchOptions, pidFile: string): Promise<ContainerProcess> {
  const pipes = createPipeSet();
  try {
    const { pid, exited } = await startAndWait(options, {
      streams: pipes.childEnds,
      pidFile,
      consoleSocket: undefined,
    });
    return new ContainerProcess(pid, pipes.open(), exited);
  } catch (error) {
    pipes.abandon();
    throw error;
  } finally {
    pipes.closeChildEnds();
  }
}

async function launchWithTerminal(
  options: LaunchOptions,
  pidFile: string,
): Promise<ContainerProcess> {
  const socket = await listenForConsole(`${options.filePrefix}.sock`);
  try {
    const { pid, exited } = await startAndWait(options, {
      streams: ["ignore", "ignore", "ignore"],
      pidFile,
      consoleSocket: socket.path,
    });
    return new ContainerProcess(pid, openTerminal(await receiveOrKill(socket, pid)), exited);
  } finally {
    socket.close();
  }
}

/** The exit must be waited for before orphans are buried again, or its code would be lost. */
async function startAndWait(
  options: LaunchOptions,
  launch: Launch,
): Promise<{ pid: number; exited: Promise<number> }> {
  return options.reaper.whileLaunching(async () => {
    const pid = await options.start(launch);
    return { pid, exited: options.reaper.waitFor(pid) };
  });
}

async function receiveOrKill(socket: ConsoleSocket, pid: number): Promise<number> {
  try {
    return await socket.receive();
  } catch (error) {
    process.kill(pid, "SIGKILL");
    throw error;
  }
}
