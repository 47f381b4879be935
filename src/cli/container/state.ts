// SPDX-License-Identifier: Apache-2.0
import { shimAddress } from "../shim/program.ts";
import { connectToTask } from "../shim/task-client.ts";
import { type ContainerExit, readExit } from "./record.ts";
import { settleExit } from "./remove.ts";

/** What a container is doing, for people and scripts. */
export interface ContainerState {
  status: "starting" | "created" | "running" | "paused" | "exited" | "unknown";
  pid?: number;
  exit?: ContainerExit;
}

export async function containerState(id: string): Promise<ContainerState> {
  const exit = readExit(id);
  if (exit !== undefined) return { status: "exited", exit };
  if (shimAddress(id) === undefined) return { status: "starting" };
  const task = await connectToTask(id);
  if (task === undefined) return exited(await settleExit(id));
  try {
    const state = await task.state({ id });
    if (state.status === "stopped") return exited(await settleExit(id));
    return { status: state.status, pid: state.pid };
  } catch {
    // The VM boots: its task is not known to the shim yet.
    return { status: "starting" };
  } finally {
    task.close();
  }
}

function exited(exit: ContainerExit | undefined): ContainerState {
  return exit === undefined ? { status: "unknown" } : { status: "exited", exit };
}
