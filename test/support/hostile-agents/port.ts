// SPDX-License-Identifier: Apache-2.0
import { openSync, read, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { findPort, PORT_NAME } from "../../../guest/agent/port/find.ts";

const CHUNK_BYTES = 64 * 1024;

/** The port to the host, with nothing between it and what is sent. */
export interface RawPort {
  /** Blocks until the host has taken all of it. */
  send(data: Buffer): void;
  onData(listener: (data: Buffer) => void): void;
}

export async function openPort(): Promise<RawPort> {
  let path = findPort(PORT_NAME);
  for (; path === undefined; path = findPort(PORT_NAME)) await sleep(10);
  const fd = openSync(path, "r+");
  return {
    send: (data) => {
      for (let at = 0; at < data.length; ) at += writeSync(fd, data, at, data.length - at);
    },
    onData: (listener) => readOn(fd, listener),
  };
}

function readOn(fd: number, listener: (data: Buffer) => void): void {
  read(fd, Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, null, (error, count, buffer) => {
    if (error === null && count > 0) listener(buffer.subarray(0, count));
    setTimeout(() => readOn(fd, listener), error === null && count > 0 ? 0 : 20);
  });
}
