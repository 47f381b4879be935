// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, write } from "node:fs";
import { Socket } from "node:net";
import { promisify } from "node:util";

const writeTo = promisify(write);

/** Where output goes. */
export interface Sink {
  /** Resolves when the kernel has taken all of `data`. */
  write(data: Uint8Array): Promise<void>;
  close(): void;
}

/** Output that nobody wanted, so that its process is not held up. */
export const DISCARD: Sink = { write: () => Promise.resolve(), close: () => {} };

/** Takes a descriptor over: a FIFO or socket waits for its reader, a file takes all at once. */
export function openSink(descriptor: number): Sink {
  const stat = fstatSync(descriptor);
  return stat.isFIFO() || stat.isSocket() ? streamSink(descriptor) : fileSink(descriptor);
}

function streamSink(descriptor: number): Sink {
  // Never read: a FIFO that is open for both would give us our own output back.
  const socket = new Socket({ fd: descriptor, readable: false, writable: true });
  // Each failure also reaches the write that it belongs to.
  socket.on("error", () => {});
  return {
    write: (data) =>
      new Promise((resolve, reject) => {
        socket.write(data, (error) => (error ? reject(error) : resolve()));
      }),
    close: () => socket.destroy(),
  };
}

function fileSink(descriptor: number): Sink {
  let isClosed = false;
  let writing: Promise<void> = Promise.resolve();
  const writeAll = async (data: Uint8Array): Promise<void> => {
    for (let rest = data; rest.length > 0 && !isClosed; ) {
      const { bytesWritten } = await writeTo(descriptor, rest);
      rest = rest.subarray(bytesWritten);
    }
  };
  return {
    write: (data) => {
      writing = writeAll(data);
      return writing;
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      // Not under a write that is still going on: the number may be another file's by then.
      void writing.catch(() => {}).then(() => closeSync(descriptor));
    },
  };
}
