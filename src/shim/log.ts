// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openFifoForWriting } from "../linux/fifo.ts";
import { sandboxDirectory } from "../linux/paths.ts";
import { createLogger, type Logger } from "../logging/logger.ts";

const MAX_FILE_BYTES = 1024 * 1024;
const MAX_EARLY_LINES = 200;

export interface ShimLog {
  logger: Logger;
  /** Lines go into the sandbox's directory too, once there is one. */
  openFile(): void;
  close(): void;
}

/**
 * Logs to the bundle's `log`, which containerd reads, and to `shim.log` of the sandbox. Neither
 * may hold the shim up: what a full pipe does not take is lost.
 */
export function openShimLog(options: { key: string; bundle: string; isDebug: boolean }): ShimLog {
  const fifo = openQuietly(() => openFifoForWriting(join(options.bundle, "log")));
  let file: number | undefined;
  let early: string[] = [];
  let written = 0;
  const write = (line: string): void => {
    if (fifo !== undefined) writeQuietly(fifo, line);
    if (file === undefined) early = [...early, line].slice(-MAX_EARLY_LINES);
    else if (written < MAX_FILE_BYTES) written += writeQuietly(file, line);
  };
  const logger = createLogger({
    component: "shim",
    sandboxId: options.key,
    sink: write,
    ...(options.isDebug ? { level: "debug" as const } : {}),
  });
  return {
    logger,
    openFile: () => {
      // A second time: the sandbox, and its log with it, has begun anew.
      if (file !== undefined) closeSync(file);
      file = openQuietly(() => openLogFile(options.key));
      if (file === undefined) return;
      for (const line of early.splice(0)) written += writeQuietly(file, line);
    },
    close: () => {
      for (const descriptor of [fifo, file]) if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

function openLogFile(key: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants;
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
  return openSync(join(sandboxDirectory(key), "shim.log"), flags, 0o600);
}

function openQuietly(open: () => number): number | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}

function writeQuietly(descriptor: number, line: string): number {
  try {
    return writeSync(descriptor, `${line}\n`);
  } catch {
    return 0;
  }
}
