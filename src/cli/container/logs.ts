// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { bundlePaths } from "./paths.ts";
import { containerState } from "./state.ts";
import { findContainer } from "./store.ts";

const CHUNK_BYTES = 64 * 1024;
/** How often a followed file is looked at, and how often its container. */
const POLL_MS = 100;
const STATE_EVERY_POLLS = 5;

/** `mukon logs`: both streams, in the order in which they came. */
export async function printLogs(nameOrId: string, options: { follow: boolean }): Promise<void> {
  const { id } = findContainer(nameOrId);
  const descriptor = openSync(bundlePaths(id).output, "r");
  try {
    copyAvailable(descriptor);
    for (let polls = 1; options.follow; polls++) {
      const isOver =
        polls % STATE_EVERY_POLLS === 0 && (await containerState(id)).status === "exited";
      copyAvailable(descriptor);
      if (isOver) return;
      await sleep(POLL_MS);
    }
  } finally {
    closeSync(descriptor);
  }
}

function copyAvailable(descriptor: number): void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  for (;;) {
    const length = readSync(descriptor, chunk);
    if (length === 0) return;
    writeChunk(chunk.subarray(0, length));
  }
}

function writeChunk(chunk: Buffer): void {
  let rest = chunk;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}
