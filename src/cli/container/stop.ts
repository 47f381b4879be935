// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { parseSignal } from "../io/signals.ts";
import { connectToTask } from "../shim/task-client.ts";
import { writeExit } from "./record.ts";
import { finishTask } from "./remove.ts";
import { findContainer } from "./store.ts";

const SIGKILL = 9;

/** Sends the container's stop signal and, when it is still there after `graceMs`, kills it. */
export async function stopContainer(nameOrId: string, graceMs: number): Promise<void> {
  const { id, stopSignal } = findContainer(nameOrId);
  const task = await connectToTask(id);
  if (task === undefined) return;
  try {
    const ended = task.wait({ id });
    ended.catch(() => {});
    await task.kill({ id }, parseSignal(stopSignal ?? "TERM"), { all: false }).catch(() => {});
    const timeout = new AbortController();
    const first = await Promise.race([
      ended,
      sleep(graceMs, undefined, { signal: timeout.signal }).catch(() => undefined),
    ]);
    timeout.abort();
    if (first === undefined) await task.kill({ id }, SIGKILL, { all: true }).catch(() => {});
    const exit = await ended.catch(() => undefined);
    if (exit !== undefined) writeExit(id, exit);
    await finishTask(task, id);
  } finally {
    task.close();
  }
}
