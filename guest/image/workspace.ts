// SPDX-License-Identifier: Apache-2.0
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { withLock } from "../../src/linux/lock.ts";
import { explainFailure, requireFreeSpace } from "./failures.ts";

const WORK_PREFIX = ".build-";

/**
 * Runs `work` alone on this directory, in a temporary directory inside of it that is gone
 * afterwards, whatever happens: what a killed build left is removed by the next one.
 * SIGINT and SIGTERM abort the build through `signal` and end it as GUEST_BUILD_INTERRUPTED.
 */
export async function inWorkspace<T>(
  root: string,
  outer: AbortSignal | undefined,
  work: (workPath: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  return withLock(join(root, ".lock"), () =>
    withInterrupts(outer, async (signal) => {
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
    }),
  );
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
