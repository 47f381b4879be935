// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  constants,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { AgentError, isSystemError, Status, type StatusCode } from "../errors.ts";
import type { Reaper } from "./reaper.ts";
import { runProgram, type StandardStreams } from "./run-program.ts";

const PROGRAM = "/usr/bin/crun";
const STATE_ROOT = "/run/crun";
const MAX_REASON_LENGTH = 2000;

export interface Launch {
  readonly streams: StandardStreams;
  readonly pidFile: string;
  /** For a process with a terminal: crun sends its master side there. */
  readonly consoleSocket: string | undefined;
}

/** crun's command line. Its own complaints go to a file, never into a container's output. */
export class Crun {
  readonly #reaper: Reaper;
  readonly #directory: string;
  #runs = 0;

  /** @param directory existing, for log files */
  constructor(reaper: Reaper, directory: string) {
    this.#reaper = reaper;
    this.#directory = directory;
  }

  /** Makes the container and gives the pid of its first process, which waits for `start`. */
  async create(containerId: string, bundle: string, launch: Launch): Promise<number> {
    const target = ["--bundle", bundle, ...launchOptions(launch), "--", containerId];
    await this.#run(["create", ...target], launch.streams);
    return readPid(launch.pidFile);
  }

  async start(containerId: string): Promise<void> {
    if (!letGo(containerId)) await this.#run(["start", "--", containerId]);
  }

  /** Starts a process in the container and gives its pid. */
  async exec(containerId: string, processFile: string, launch: Launch): Promise<number> {
    const target = ["--detach", "--process", processFile, ...launchOptions(launch)];
    await this.#run(["exec", ...target, "--", containerId], launch.streams);
    return readPid(launch.pidFile);
  }

  async update(containerId: string, resourcesFile: string): Promise<void> {
    await this.#run(["update", "--resources", resourcesFile, "--", containerId]);
  }

  async delete(containerId: string): Promise<void> {
    await this.#run(["delete", "--force", "--", containerId]);
  }

  async #run(values: readonly string[], streams?: StandardStreams): Promise<void> {
    this.#runs += 1;
    const log = `${this.#directory}/crun-${this.#runs}.log`;
    const argv = [
      PROGRAM,
      "--root",
      STATE_ROOT,
      "--cgroup-manager=cgroupfs",
      "--log",
      log,
      ...values,
    ];
    try {
      const code = await runProgram(
        this.#reaper,
        streams === undefined ? { argv } : { argv, streams },
      );
      if (code === 0) return;
      const reason = lastReason(readIfThere(log));
      throw new AgentError(statusOf(reason), `crun ${values[0]}: ${reason || `exit code ${code}`}`);
    } finally {
      rmSync(log, { force: true });
    }
  }
}

function launchOptions(launch: Launch): string[] {
  const console =
    launch.consoleSocket === undefined ? [] : ["--console-socket", launch.consoleSocket];
  return ["--pid-file", launch.pidFile, ...console];
}

/**
 * What `crun start` comes to for a container whose host hooks are not crun's: the first process waits
 * for a byte in a FIFO. Under emulation, the program that writes it costs a tenth of a second.
 * @returns false when the FIFO is not there or has no reader; `crun start` then says why
 */
function letGo(containerId: string): boolean {
  const fifo = `${STATE_ROOT}/${containerId}/exec.fifo`;
  let fd: number;
  try {
    fd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    unlinkSync(fifo);
    writeSync(fd, Buffer.alloc(1));
    return true;
  } finally {
    closeSync(fd);
  }
}

/** The text after crun's date and level: `2026-01-02T03:04:05.000000Z: reason`. */
function lastReason(log: string): string {
  const lines = log.split("\n").map((line) => line.replace(/^\d{4}-\S+Z:\s*/, "").trim());
  return lines.filter(Boolean).join("; ").slice(0, MAX_REASON_LENGTH);
}

/** What the caller can act upon: a program that is missing is the caller's mistake, not ours. */
export function statusOf(reason: string): StatusCode {
  if (/No such file or directory|not found in \$PATH/.test(reason)) return Status.notFound;
  if (/Permission denied|not executable|not a regular file|Exec format error/.test(reason)) {
    return Status.permissionDenied;
  }
  return Status.internal;
}

function readPid(file: string): number {
  const pid = Number(readIfThere(file).trim());
  if (!Number.isSafeInteger(pid) || pid <= 1) {
    throw new AgentError(Status.internal, `crun left no process id in ${file}`);
  }
  return pid;
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (isSystemError(error, "ENOENT")) return "";
    throw error;
  }
}
