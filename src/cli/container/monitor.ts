// SPDX-License-Identifier: Apache-2.0
import { connectToTask } from "../shim/task-client.ts";
import { writeExit } from "./record.ts";
import { finishTask, removeBundleAndShim } from "./remove.ts";
import { findContainer } from "./store.ts";

const SIGKILL = 9;

/** Waits for a detached container's end; kills it at its deadline, removes it when it asked so. */
export async function monitorContainer(
  nameOrId: string,
  timeoutMs: number | undefined,
): Promise<void> {
  const { id, name, removeAtExit } = findContainer(nameOrId);
  const task = await connectToTask(id);
  if (task !== undefined) {
    const deadline =
      timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => void task.kill({ id }, SIGKILL, { all: true }).catch(() => {}),
            timeoutMs,
          );
    const exit = await task.wait({ id }).catch(() => undefined);
    clearTimeout(deadline);
    if (exit !== undefined) writeExit(id, exit);
    await finishTask(task, id);
    task.close();
  }
  if (removeAtExit) await removeBundleAndShim(id, name);
}
