// SPDX-License-Identifier: Apache-2.0
import type { MukonError } from "../../errors/mukon-error.ts";
import type { Logger } from "../../logging/logger.ts";
import type { PodRequest } from "../../sandbox/create-pod.ts";
import type { TaskEvent } from "../events/task-events.ts";
import type { RuntimeOptions } from "../options.ts";
import type { Containers } from "./container.ts";
import type { TaskPod } from "./task-pod.ts";

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
  /** Why it is over, when nobody has asked for its end. */
  lost?: MukonError;
}
