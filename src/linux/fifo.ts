// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;

/** A FIFO opened for reading, together with a writer of our own. */
export interface ReadableFifo {
  readFd: number;
  /** While it is open, a client that closes its end is not the end of the stream. */
  holderFd: number;
}

/**
 * Opens a FIFO for writing, without waiting for a reader: `O_RDWR` is reader and writer at once
 * (fifo(7)), so that a client that goes away is no SIGPIPE, and may come back.
 * @throws FIFO_INVALID when the path is something else
 */
export function openFifoForWriting(path: string): number {
  return openFifo(path, O_RDWR);
}

/** Opens a FIFO for reading, without waiting for a writer. Close the holder to see the end. */
export function openFifoForReading(path: string): ReadableFifo {
  // Neither end alone can be opened before the other; one that is both can.
  const both = openFifo(path, O_RDWR);
  try {
    // By the descriptor: another file may have the path by now.
    const samePath = `/proc/self/fd/${both}`;
    const readFd = openFifo(samePath, O_RDONLY);
    try {
      return { readFd, holderFd: openFifo(samePath, O_WRONLY) };
    } catch (error) {
      closeSync(readFd);
      throw error;
    }
  } finally {
    closeSync(both);
  }
}

function openFifo(path: string, mode: number): number {
  const descriptor = openSync(path, mode | O_NONBLOCK);
  if (fstatSync(descriptor).isFIFO()) return descriptor;
  closeSync(descriptor);
  throw new MukonError("FIFO_INVALID", `${path} is not a FIFO`, { hint: "make it with mkfifo(1)" });
}
