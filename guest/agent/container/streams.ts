// SPDX-License-Identifier: Apache-2.0
import { closeSync, readSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { AgentError, isSystemError, Status } from "../errors.ts";
import { createPipe } from "../native/pipe.ts";
import { setWindowSize } from "../native/terminal.ts";
import { OutputStream } from "./output-stream.ts";
import type { StandardStreams } from "./run-program.ts";

const TERMINAL_RETRY_MS = 5;
const TERMINAL_READ_BYTES = 64 * 1024;

/** The agent's ends of a process's standard streams. */
export interface ProcessStreams {
  readonly stdout: OutputStream;
  /** `undefined` with a terminal: it has one output only. */
  readonly stderr: OutputStream | undefined;
  /** Resolves when the process's end has taken all of it. */
  writeInput(data: Buffer): Promise<void>;
  closeInput(): void;
  /** @throws AgentError when there is no terminal */
  resize(rows: number, columns: number): void;
  close(): void;
}

/** Three pipes: the ends for the child, and what becomes of the others. */
export interface PipeSet {
  readonly childEnds: StandardStreams;
  /** To be called when the child has (or will never have) its ends. */
  closeChildEnds(): void;
  open(): ProcessStreams;
  /** Instead of {@link open}, when the child could not be started. */
  abandon(): void;
}

export function createPipeSet(): PipeSet {
  const [input, output, error] = [createPipe(), createPipe(), createPipe()];
  const childEnds = [input.readFd, output.writeFd, error.writeFd] as const;
  const ownEnds = [input.writeFd, output.readFd, error.readFd];
  return {
    childEnds,
    closeChildEnds: () => closeAll(childEnds),
    open: () => openPipes(input.writeFd, output.readFd, error.readFd),
    abandon: () => closeAll(ownEnds),
  };
}

function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors) closeSync(fd);
}

function openPipes(inputFd: number, outputFd: number, errorFd: number): ProcessStreams {
  const stdin = new Socket({ fd: inputFd, readable: false, writable: true });
  // A process that ends before it has read its input is no failure of the agent.
  stdin.on("error", () => undefined);
  const stdout = new OutputStream(new Socket({ fd: outputFd, readable: true, writable: false }));
  const stderr = new OutputStream(new Socket({ fd: errorFd, readable: true, writable: false }));
  return {
    stdout,
    stderr,
    writeInput: (data) => writeToPipe(stdin, data),
    closeInput: () => void stdin.end(),
    resize: () => {
      throw new AgentError(Status.failedPrecondition, "the process has no terminal");
    },
    close: () => {
      stdin.destroy();
      stdout.close();
      stderr.close();
    },
  };
}

function writeToPipe(stdin: Socket, data: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stdin.write(data, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(inputClosed(error));
    });
  });
}

function inputClosed(cause: unknown): AgentError {
  return new AgentError(Status.failedPrecondition, "the process's input is closed", cause);
}

/** @param masterFd owned by the result from now on */
export function openTerminal(masterFd: number): ProcessStreams {
  const source = new ReadStream(masterFd);
  const stdout = new OutputStream(source, () => readRest(masterFd));
  let isOpen = true;
  let writing = Promise.resolve();
  source.once("close", () => {
    isOpen = false;
  });
  // Node would block all of the agent on a terminal that nobody reads: write what it takes.
  const write = async (data: Buffer): Promise<void> => {
    for (let offset = 0; offset < data.length; ) {
      if (!isOpen) throw inputClosed(undefined);
      const count = writeSome(masterFd, data.subarray(offset));
      offset += count;
      if (count === 0) await delay(TERMINAL_RETRY_MS);
    }
  };
  return {
    stdout,
    stderr: undefined,
    writeInput: (data) => {
      const result = writing.then(() => write(data));
      writing = result.catch(() => undefined);
      return result;
    },
    closeInput: () => undefined,
    resize: (rows, columns) => {
      if (isOpen) setWindowSize(masterFd, rows, columns);
    },
    close: () => {
      isOpen = false;
      stdout.close();
    },
  };
}

/**
 * What a terminal that was hung up still holds: libuv takes the hang-up after a short read for the
 * end, though the last program's last bytes may have come in between. Never waits: the descriptor
 * does not block, and without a program on the other side the kernel says EIO at the end.
 */
function readRest(fd: number): Buffer {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(TERMINAL_READ_BYTES);
    let count = 0;
    try {
      count = readSync(fd, part);
    } catch {
      // EIO: there is no more.
    }
    if (count === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, count));
  }
}

function writeSome(fd: number, data: Buffer): number {
  try {
    return writeSync(fd, data);
  } catch (error) {
    if (isSystemError(error, "EAGAIN")) return 0;
    throw inputClosed(error);
  }
}
