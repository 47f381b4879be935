// SPDX-License-Identifier: Apache-2.0
import { closeSync, createWriteStream, type WriteStream } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { openFifoForReading, openFifoForWriting } from "../../linux/fifo.ts";
import { noteMoment } from "../../logging/moments.ts";
import { printNote } from "../output/print.ts";
import type { StreamPaths } from "./fifos.ts";

export interface AttachOptions {
  paths: StreamPaths;
  /** Called when the caller's standard input has ended and all of it is in the FIFO. */
  onInputEnd(): void;
  /** Called once when the reader of our standard output went away. */
  onOutputClosed(): void;
  /** A copy of both output streams goes into this file. */
  copyTo?: string;
}

/** The caller's streams, joined to those of a process in a container. */
export interface Attachment {
  /**
   * To be called when the shim has opened the FIFOs: what nobody holds open would be lost with the
   * end of a short input, and so would the end itself.
   */
  beginInput(): void;
  /** To be called when the process has ended; settles when all of its output was written. */
  drain(): Promise<void>;
  /** Lets go of everything at once. */
  close(): void;
}

/** Joins this program's streams to the FIFOs. Both ends are open when it returns. */
export function attach(options: AttachOptions): Attachment {
  const copy = options.copyTo === undefined ? undefined : openCopy(options.copyTo);
  let isClosedReported = false;
  const closed = (): void => {
    if (!isClosedReported) options.onOutputClosed();
    isClosedReported = true;
  };
  const outputs = [
    pump(options.paths.stdout, process.stdout, { copy, closed }),
    ...(options.paths.stderr === ""
      ? []
      : [pump(options.paths.stderr, process.stderr, { copy, closed })]),
  ];
  let stopInput = (): void => {};
  return {
    beginInput() {
      const { stdin } = options.paths;
      if (stdin !== "") stopInput = pumpInput(stdin, options.onInputEnd);
    },
    async drain() {
      stopInput();
      await Promise.all(outputs.map((output) => output.drain()));
      await new Promise<void>((done) => (copy === undefined ? done() : copy.end(done)));
    },
    close() {
      stopInput();
      for (const output of outputs) output.close();
      copy?.end();
    },
  };
}

/** A disk that is full costs the copy, never the container that writes. */
function openCopy(path: string): WriteStream {
  const copy = createWriteStream(path, { flags: "a", mode: 0o600 });
  copy.on("error", (error) => printNote(`mukon: its output is no longer kept: ${error.message}`));
  return copy;
}

interface Output {
  drain(): Promise<void>;
  close(): void;
}

interface PumpOptions {
  copy: WriteStream | undefined;
  closed(): void;
}

/**
 * Copies a FIFO to `target`, no faster than `target` takes it. Our own write end stays open until
 * the process has ended: without it, the FIFO would be at its end before the shim opens it.
 */
function pump(path: string, target: Writable, options: PumpOptions): Output {
  const { readFd, holderFd } = openFifoForReading(path);
  const source = new Socket({ fd: readFd, readable: true, writable: false });
  let isTargetOpen = true;
  target.on("error", () => {
    isTargetOpen = false;
    source.resume();
    options.closed();
  });
  source.once("data", () => noteMoment("cli", "first output"));
  source.on("data", (chunk: Buffer) => {
    if (options.copy?.destroyed === false) options.copy.write(chunk);
    if (isTargetOpen && !target.write(chunk)) {
      source.pause();
      target.once("drain", () => source.resume());
    }
  });
  const ended = new Promise<void>((done) => source.once("close", () => done()));
  let isHeld = true;
  const letGo = (): void => {
    if (isHeld) closeSync(holderFd);
    isHeld = false;
  };
  return {
    async drain() {
      letGo();
      await ended;
      if (isTargetOpen) await new Promise<void>((done) => target.write("", () => done()));
    },
    close() {
      letGo();
      source.destroy();
    },
  };
}

/** Copies standard input into the FIFO; returns how to stop that. */
function pumpInput(path: string, onEnd: () => void): () => void {
  const target = new Socket({ fd: openFifoForWriting(path), readable: false, writable: true });
  // The process may end before it has read everything.
  target.on("error", () => process.stdin.unpipe(target));
  target.once("finish", onEnd);
  process.stdin.pipe(target);
  return () => {
    process.stdin.unpipe(target);
    process.stdin.pause();
    target.destroy();
  };
}
