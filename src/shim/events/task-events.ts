// SPDX-License-Identifier: Apache-2.0
import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  TaskCreateSchema,
  TaskDeleteSchema,
  TaskExecAddedSchema,
  TaskExecStartedSchema,
  TaskExitSchema,
  TaskOOMSchema,
  TaskPausedSchema,
  TaskResumedSchema,
  TaskStartSchema,
} from "../../generated/containerd/events_pb.ts";
import type { Container } from "../task/container.ts";
import type { Exit, TaskProcess } from "../task/process.ts";
import type { TaskMount } from "../task/rootfs.ts";

/** One event of a task, as containerd takes it. */
export interface TaskEvent {
  topic: string;
  /** Bare name of the message: containerd wants no prefix. */
  typeUrl: string;
  value: Uint8Array;
  /** When it happened. */
  at: Date;
  /** Clients wait for it: it is never dropped. */
  isEssential: boolean;
}

export function createdEvent(container: Container, rootfs: readonly TaskMount[]): TaskEvent {
  return taskEvent("/tasks/create", TaskCreateSchema, {
    containerId: container.id,
    bundle: container.bundle,
    rootfs: rootfs.map(({ type, source, options }) => ({ type, source, options: [...options] })),
    io: container.init.streams,
    pid: container.pid,
  });
}

export function startedEvent({ id, pid }: Container): TaskEvent {
  return taskEvent("/tasks/start", TaskStartSchema, { containerId: id, pid });
}

export function execAddedEvent({ containerId, execId }: TaskProcess): TaskEvent {
  return taskEvent("/tasks/exec-added", TaskExecAddedSchema, { containerId, execId });
}

export function execStartedEvent({ containerId, execId }: TaskProcess, pid: number): TaskEvent {
  return taskEvent("/tasks/exec-started", TaskExecStartedSchema, { containerId, execId, pid });
}

export function exitEvent(process: TaskProcess, pid: number, exit: Exit): TaskEvent {
  const { containerId, execId } = process;
  const event = taskEvent("/tasks/exit", TaskExitSchema, {
    containerId,
    // Here, unlike elsewhere, the first process has its container's id.
    id: execId === "" ? containerId : execId,
    pid,
    exitStatus: exit.status,
    exitedAt: timestampFromDate(exit.at),
  });
  return { ...event, isEssential: true };
}

export function deletedEvent({ id, pid }: Container, exit: Exit): TaskEvent {
  const event = taskEvent("/tasks/delete", TaskDeleteSchema, {
    containerId: id,
    pid,
    exitStatus: exit.status,
    exitedAt: timestampFromDate(exit.at),
  });
  return { ...event, isEssential: true };
}

export function oomEvent(containerId: string): TaskEvent {
  return { ...taskEvent("/tasks/oom", TaskOOMSchema, { containerId }), isEssential: true };
}

export function pausedEvent(containerId: string): TaskEvent {
  return taskEvent("/tasks/paused", TaskPausedSchema, { containerId });
}

export function resumedEvent(containerId: string): TaskEvent {
  return taskEvent("/tasks/resumed", TaskResumedSchema, { containerId });
}

function taskEvent<Schema extends DescMessage>(
  topic: string,
  schema: Schema,
  message: MessageInitShape<Schema>,
): TaskEvent {
  const value = toBinary(schema, create(schema, message));
  return { topic, typeUrl: schema.typeName, value, at: new Date(), isEssential: false };
}
