// SPDX-License-Identifier: Apache-2.0
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { withLock } from "../../src/linux/lock.ts";
import { explainFailure, requireFreeSpace } from "./failures.ts";

const WORK_PREFIX = ".build-";

/** Builds do not wait unsaid. */
const WAIT_NOTICE_MS = 1000;

export interface WorkspaceOptions {
  /** The directory that holds the guests; made when it is not there. */
  root: string;
  log: (line: string) => void;
  signal: AbortSignal | undefined;
}

/**
 * Runs `work` alone on the root directory, in a temporary directory inside of it that is gone
 * afterwards, whatever happens: what a killed build left is removed by the next one.
 * SIGINT and SIGTERM abort the build through `signal` and end it as GUEST_BUILD_INTERRUPTED.
 */
export async function inWorkspace<T>(
  options: WorkspaceOptions,
  work: (workPath: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { root, log } = options;
  // Passable, as apt's unprivileged half must reach its own folder; the guests are root's alone.
  await mkdir(root, { recursive: true, mode: 0o711 });
  const notice = setTimeout(() => log("Waiting for another guest build"), WAIT_NOTICE_MS);
  try {
    return await withLock(join(root, ".lock"), () => {
      clearTimeout(notice);
      return withInterrupts(options.signal, (signal) => inTemporary(root, signal, work));
    });
  } finally {
    clearTimeout(notice);
  }
}

async function inTemporary<T>(
  root: string,
  signal: AbortSignal,
  work: (workPath: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await removeLeftovers(root);
  requireFreeSpace(root);
  const workPath = await mkdtemp(join(root, WORK_PREFIX));
  try {
    return await work(workPath, signal);
  } catch (error) {
    throw explainFailure(error, root, signal);
  } finally {
    await rm(workPath, { recursive: true, force: true });
  }
}

/** Turns the signals of a terminal into an abort, for as long as `work` lasts. */
async function withInterrupts<T>(
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, abort);
  outer?.addEventListener("abort", abort);
  if (outer?.aborted) abort();
  try {
    return await work(controller.signal);
  } finally {
    for (const name of names) process.off(name, abort);
    outer?.removeEventListener("abort", abort);
  }
}

/** The lock is held, so no build can be at work in these. */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (name.startsWith(WORK_PREFIX)) await rm(join(root, name), { recursive: true, force: true });
  }
}
