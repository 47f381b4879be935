// SPDX-License-Identifier: Apache-2.0

import type { Container } from "../container/container.ts";
import { checkIdentifier } from "../container/identifier.ts";
import { AgentError, Status } from "../errors.ts";
import { failure } from "../log.ts";
import { syncFileSystems } from "../native/mount.ts";
import type { Infer } from "../protobuf/field.ts";
import type { CreateSandboxRequest } from "../schema/agent.ts";
import {
  type CreateRequest,
  createContainer,
  type Machine,
  removeContainer,
} from "./create-container.ts";
import { removeSandboxFiles, writeSandboxFiles } from "./files.ts";
import { setHostname } from "./kernel-settings.ts";

/** Marks an id that is being made or taken away. */
const BUSY = "busy";

/** The pod: all containers of this guest. */
export class Sandbox {
  readonly #machine: Machine;
  readonly #containers = new Map<string, Container | typeof BUSY>();
  #mountPoints: readonly string[] = [];
  /**
   * First process of the pod's first container, which lives as long as the pod does. Its process
   * namespace is the one that others share: one that began with a later container would end with it.
   */
  #sharedPid: number | undefined;
  #isCreated = false;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  async create(request: Infer<typeof CreateSandboxRequest>): Promise<void> {
    if (this.#isCreated) {
      throw new AgentError(Status.alreadyExists, "the guest has its sandbox already");
    }
    if (request.kernelModules.length > 0) {
      throw new AgentError(Status.unimplemented, "this guest loads no kernel modules on request");
    }
    this.#isCreated = true;
    if (request.hostname !== "") setHostname(request.hostname);
    writeSandboxFiles(request.hostname, request.dns);
    this.#mountPoints = await this.#machine.storages.add(request.storages);
  }

  async createContainer(request: CreateRequest): Promise<void> {
    const id = checkIdentifier(request.containerId, "container id");
    if (this.#containers.has(id)) {
      throw new AgentError(Status.alreadyExists, `container ${id} is there already`);
    }
    this.#containers.set(id, BUSY);
    try {
      const container = await createContainer(
        this.#machine,
        request,
        request.sandboxPidns ? this.#sharedPidNamespace() : undefined,
      );
      this.#sharedPid ??= container.init.pid;
      this.#containers.set(id, container);
    } catch (error) {
      this.#containers.delete(id);
      throw error;
    }
  }

  /** @throws AgentError NOT_FOUND */
  container(id: string): Container {
    const container = this.#containers.get(id);
    if (container !== undefined && container !== BUSY) return container;
    throw new AgentError(
      Status.notFound,
      `container ${JSON.stringify(id.slice(0, 140))} is not in this guest`,
    );
  }

  async removeContainer(id: string): Promise<void> {
    const container = this.container(id);
    this.#containers.set(id, BUSY);
    try {
      await removeContainer(this.#machine, container);
      this.#containers.delete(id);
    } catch (error) {
      this.#containers.set(id, container);
      throw error;
    }
    if (this.#sharedPid === container.init.pid) this.#sharedPid = undefined;
  }

  async destroy(): Promise<void> {
    for (const id of [...this.#containers.keys()]) {
      await this.removeContainer(id).catch((error) => failure(`cannot remove ${id}`, error));
    }
    await this.#machine.storages.remove(this.#mountPoints);
    removeSandboxFiles();
    await syncFileSystems();
    this.#mountPoints = [];
    this.#isCreated = false;
  }

  /** The host is gone; whoever comes next asks anew. */
  forgetReaders(): void {
    this.#machine.oomEvents.forgetWaiting();
    for (const container of this.#containers.values()) {
      if (container !== BUSY) container.forgetReaders();
    }
  }

  #sharedPidNamespace(): string | undefined {
    return this.#sharedPid === undefined ? undefined : `/proc/${this.#sharedPid}/ns/pid`;
  }
}
