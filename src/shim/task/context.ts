// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "../../logging/logger.ts";
import type { PodRequest } from "../../sandbox/create-pod.ts";
import type { KeeperClient } from "../../sandbox/keeper-client.ts";
import type { Pod } from "../../sandbox/pod.ts";
import type { TaskEvent } from "../events/task-events.ts";
import type { RuntimeOptions } from "../options.ts";
import type { Containers } from "./container.ts";

/** Requests to the keeper that tasks are made of. */
export type TaskKeeper = Pick<
  KeeperClient,
  | "putVolumeEntry"
  | "createContainer"
  | "startContainer"
  | "exec"
  | "startExec"
  | "signal"
  | "resize"
  | "closeStdin"
  | "pause"
  | "resume"
  | "update"
  | "stats"
  | "removeContainer"
  | "removeExec"
  | "detachDisk"
>;

/** A pod, as far as tasks are concerned. */
export type TaskPod = Pick<Pod, "vmmPid" | "configuration" | "lost" | "attachDisk"> & {
  destroy: () => Promise<unknown>;
  keeper: TaskKeeper;
};

/** One shim: what it was started for, and all that it has. */
export interface TaskContext {
  /** Of the pod, which is also that of its first container. */
  readonly id: string;
  readonly namespace: string;
  /** Path of the shim's socket. */
  readonly socketPath: string;
  /** What `start` was given. @throws RUNTIME_OPTIONS_INVALID */
  readonly startOptions: () => RuntimeOptions;
  readonly log: Logger;
  readonly containers: Containers;
  readonly publish: (event: TaskEvent) => void;
  readonly createPod: (request: PodRequest) => Promise<TaskPod>;
  /** There once the first container has been created. */
  pod: TaskPod | undefined;
}
