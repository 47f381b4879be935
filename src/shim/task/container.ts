// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { ContainerHooks } from "../hooks/container-hooks.ts";
import type { AttachedDisks } from "./attached-disks.ts";
import type { AttachedDevices } from "./host-devices.ts";
import type { TaskProcess } from "./process.ts";
import type { ContainerShares } from "./shares.ts";
import type { VolumeCopies } from "./volume-copies.ts";

/** A container of the pod, with everything that was started in it. */
export interface Container {
  id: string;
  bundle: string;
  /** The pod exists for this container: with its end, the pod ends. */
  isSandbox: boolean;
  init: TaskProcess;
  execs: Map<string, TaskProcess>;
  disks: AttachedDisks;
  devices: AttachedDevices;
  volumes: VolumeCopies;
  shares: ContainerShares;
  hooks: ContainerHooks;
  /** What the client takes for its process id: see {@link pidOf}. */
  pid: number;
}

/** The containers of one shim, by id. */
export class Containers {
  readonly #containers = new Map<string, Container>();
  /** Ids that are being created; true once the client has closed their input already. */
  readonly #reserved = new Map<string, boolean>();

  get isEmpty(): boolean {
    return this.#containers.size === 0 && this.#reserved.size === 0;
  }

  all(): Container[] {
    return [...this.#containers.values()];
  }

  /** Keeps an id for a container on its way. @throws TASK_EXISTS */
  reserve(id: string): void {
    if (this.#containers.has(id) || this.#reserved.has(id)) {
      throw new MukonError("TASK_EXISTS", `container ${id} is there already`);
    }
    this.#reserved.set(id, false);
  }

  free(id: string): void {
    this.#reserved.delete(id);
  }

  /** The end of input of a container on its way is kept for later; false when it is not one. */
  closeInputEarly(id: string): boolean {
    if (!this.#reserved.has(id)) return false;
    this.#reserved.set(id, true);
    return true;
  }

  isInputClosedEarly(id: string): boolean {
    return this.#reserved.get(id) ?? false;
  }

  add(container: Container): void {
    this.#reserved.delete(container.id);
    this.#containers.set(container.id, container);
  }

  remove(id: string): void {
    this.#containers.delete(id);
  }

  find(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  /** @throws TASK_NOT_FOUND */
  get(id: string): Container {
    const container = this.#containers.get(id);
    if (container !== undefined) return container;
    throw new MukonError("TASK_NOT_FOUND", `container ${id} not found`);
  }

  /** The container's first process for an empty `execId`. @throws TASK_NOT_FOUND */
  process(id: string, execId: string): { container: Container; process: TaskProcess } {
    const container = this.get(id);
    if (execId === "") return { container, process: container.init };
    const process = container.execs.get(execId);
    if (process !== undefined) return { container, process };
    throw new MukonError("TASK_NOT_FOUND", `exec ${execId} not found in container ${id}`);
  }
}
