// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { dirname, isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { MukonError } from "../../errors/mukon-error.ts";
import { openFifoForReading, openFifoForWriting } from "../../linux/fifo.ts";
import type { Stdio } from "../../sandbox/messages/methods.ts";
import { BINARY_SCHEME, type LogProgram, startLogProgram } from "./log-program.ts";
import type { StreamPaths } from "./process.ts";

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/** Standard streams, open; the keeper gets copies, and then they are to be closed. */
export interface OpenStreams {
  stdio: Stdio;
  /** In the order that the keeper takes them in. */
  descriptors: number[];
  /** The client's program that takes the output; whoever has it must end it with the process. */
  logProgram: LogProgram | undefined;
  close(): void;
}

/**
 * Opens the streams of a process without waiting for whoever is at their other end, but for a
 * program that is to be started for them.
 * @throws STDIO_UNSUPPORTED, STDIO_UNUSABLE
 */
export async function openStreams(
  streams: StreamPaths,
  process: { containerId: string; namespace: string },
): Promise<OpenStreams> {
  const descriptors: number[] = [];
  let logProgram: LogProgram | undefined;
  const close = (): void => {
    for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
  };
  const { terminal } = streams;
  // A terminal has one output for both.
  const wanted = { ...streams, stderr: terminal ? "" : streams.stderr };
  try {
    if (wanted.stdin !== "") descriptors.push(...openInput(wanted.stdin));
    if (wanted.stdout.startsWith(BINARY_SCHEME)) {
      logProgram = await startLogProgram({ ...process, uri: oneProgram(wanted) });
      const { stdoutFd, stderrFd } = logProgram;
      if (wanted.stderr === "") closeSync(stderrFd);
      descriptors.push(stdoutFd, ...(wanted.stderr === "" ? [] : [stderrFd]));
    } else {
      if (wanted.stdout !== "") descriptors.push(openOutput(wanted.stdout));
      if (wanted.stderr !== "") descriptors.push(openOutput(wanted.stderr));
    }
  } catch (error) {
    close();
    throw error;
  }
  const stdio = {
    terminal,
    stdin: wanted.stdin !== "",
    stdout: wanted.stdout !== "",
    stderr: wanted.stderr !== "",
  };
  return { stdio, descriptors, logProgram, close };
}

/** Reader first, then the writer that keeps the FIFO from ending. */
function openInput(stream: string): [number, number] {
  const path = fifoPath(stream);
  const { readFd, holderFd } = usable(stream, () => openFifoForReading(path));
  return [readFd, holderFd];
}

function openOutput(stream: string): number {
  if (!stream.startsWith("file:")) {
    const path = fifoPath(stream);
    return usable(stream, () => openFifoForWriting(path));
  }
  return usable(stream, () => {
    const path = fileURLToPath(stream);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    // A FIFO there, without a reader, is an error rather than the end of all that the shim does.
    return openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o644);
  });
}

/** One program takes both outputs. */
function oneProgram({ stdout, stderr }: StreamPaths): string {
  if (stderr === "" || stderr === stdout) return stdout;
  throw unsupported(stderr, `is not that of standard output, which is ${stdout}`);
}

function fifoPath(stream: string): string {
  const path = stream.startsWith("fifo://") ? stream.slice("fifo://".length) : stream;
  if (isAbsolute(path)) return path;
  throw unsupported(stream, "is of no known kind");
}

function unsupported(stream: string, why: string): MukonError {
  return new MukonError("STDIO_UNSUPPORTED", `the standard stream ${stream} ${why}`, {
    hint: "mukon takes absolute paths of FIFOs, and file:// and binary:// for outputs; streams over ttrpc (io_type of containerd) it does not",
  });
}

function usable<Result>(stream: string, open: () => Result): Result {
  try {
    return open();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("STDIO_UNUSABLE", `the standard stream ${stream} is unusable: ${why}`, {
      cause,
    });
  }
}
