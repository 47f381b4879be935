// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { blocksOwnedBy } from "../../host/journal/tear-down.ts";
import { sandboxKey } from "../../host/sandbox-key.ts";
import { sandboxDirectory } from "../../linux/paths.ts";
import { deleteShim, shimAddress } from "../shim/program.ts";
import { connectToTask, type TaskClient } from "../shim/task-client.ts";
import { leaveNetwork } from "./network.ts";
import { NAMESPACE } from "./paths.ts";
import { type ContainerExit, readExit, writeExit } from "./record.ts";
import { removeBundle } from "./store.ts";

const SIGKILL = 9;

/** Frees an ended task and lets its shim end. What fails here is done by the shim's clean-up. */
export async function finishTask(task: TaskClient, id: string): Promise<void> {
  await task.delete({ id }).catch(() => {});
  await task.shutdown(id).catch(() => {});
  await leaveNetwork(id).catch(() => {});
}

/**
 * Cleans up after a shim that has been asked to end, unless it has left nothing: the journal goes last
 * of all that a pod has, and then there is nothing to start another program for.
 */
export async function deleteEndedShim(id: string): Promise<void> {
  const key = sandboxKey({ namespace: NAMESPACE, id });
  const path = shimAddress(id)?.replace(/^unix:\/\//, "");
  const isClean =
    path !== undefined &&
    ![path, sandboxDirectory(key)].some((each) => existsSync(each)) &&
    blocksOwnedBy(key).length === 0;
  if (!isClean) await deleteShim(id);
}

/** Removes the pod, whatever state it is in, then the bundle and the name. */
export async function removeBundleAndShim(id: string, name: string | undefined): Promise<void> {
  await deleteShim(id);
  await leaveNetwork(id);
  removeBundle(id, name);
}

/**
 * `mukon rm`.
 * @throws CONTAINER_RUNNING unless `force`
 */
export async function removeContainer(
  id: string,
  name: string,
  options: { force: boolean },
): Promise<void> {
  const task = await connectToTask(id);
  if (task !== undefined) {
    try {
      await endTask(task, id, options.force);
    } finally {
      task.close();
    }
  }
  await removeBundleAndShim(id, name);
}

async function endTask(task: TaskClient, id: string, force: boolean): Promise<void> {
  const state = await task.state({ id }).catch(() => undefined);
  if (state === undefined) return;
  if (state.status !== "stopped") {
    if (!force) {
      throw new MukonError("CONTAINER_RUNNING", `container ${id} is ${state.status}`, {
        hint: `stop it first (mukon stop ${id}), or use mukon rm --force`,
      });
    }
    await task.kill({ id }, SIGKILL, { all: true }).catch(() => {});
    await task.wait({ id }).catch(() => {});
  }
  await finishTask(task, id);
}

/**
 * How a container ended, or undefined while it has not. Takes note of an end that nobody was there
 * to see (a detached container), and lets its shim go.
 */
export async function settleExit(id: string): Promise<ContainerExit | undefined> {
  const known = readExit(id);
  if (known !== undefined) return known;
  const task = await connectToTask(id);
  if (task === undefined) return lostExit(id);
  try {
    const state = await task.state({ id }).catch(() => undefined);
    if (state?.status !== "stopped") return state === undefined ? lostExit(id) : undefined;
    const exit = { status: state.exitStatus, at: state.exitedAt ?? new Date().toISOString() };
    writeExit(id, exit);
    await finishTask(task, id);
    return exit;
  } finally {
    task.close();
  }
}

/** Its shim died: what ended the container is not known, and 255 says so, as in Kata. */
function lostExit(_id: string): ContainerExit {
  return { status: 255, at: new Date().toISOString() };
}
