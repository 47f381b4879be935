// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import type { OciProcess } from "../../guest-protocol/oci-spec.ts";
import type { GuestProcess } from "./guest-process.ts";

export interface ExecRecord {
  process: GuestProcess;
  definition: OciProcess;
}

/** What the keeper knows of one container; `init` is its first process. */
export interface ContainerRecord {
  init: GuestProcess;
  execs: Map<string, ExecRecord>;
}

/** The pod's containers and their execs, by the ids that the shim uses. */
export class Containers {
  readonly #records = new Map<string, ContainerRecord>();

  /** Errors: `PROCESS_EXISTS`. */
  add(containerId: string, init: GuestProcess): void {
    if (this.#records.has(containerId)) throw exists(`container "${containerId}"`);
    this.#records.set(containerId, { init, execs: new Map() });
  }

  addExec(containerId: string, execId: string, record: ExecRecord): void {
    const { execs } = this.get(containerId);
    if (execs.has(execId)) throw exists(`exec "${execId}" in container "${containerId}"`);
    execs.set(execId, record);
  }

  has(containerId: string): boolean {
    return this.#records.has(containerId);
  }

  /** Errors: `PROCESS_UNKNOWN`. */
  get(containerId: string): ContainerRecord {
    const record = this.#records.get(containerId);
    if (record === undefined) throw unknown(`container "${containerId}"`);
    return record;
  }

  getExec(containerId: string, execId: string): ExecRecord {
    const exec = this.get(containerId).execs.get(execId);
    if (exec === undefined) throw unknown(`exec "${execId}" in container "${containerId}"`);
    return exec;
  }

  /** The first process of a container when `execId` is empty, else an exec. */
  getProcess(containerId: string, execId: string | undefined): GuestProcess {
    if (execId === undefined || execId === "") return this.get(containerId).init;
    return this.getExec(containerId, execId).process;
  }

  /** Forgets a container, and lets go of all that it holds. */
  remove(containerId: string): void {
    const record = this.#records.get(containerId);
    if (record === undefined) return;
    this.#records.delete(containerId);
    for (const { process } of record.execs.values()) process.dispose();
    record.init.dispose();
  }

  removeExec(containerId: string, execId: string): void {
    const { execs } = this.get(containerId);
    execs.get(execId)?.process.dispose();
    execs.delete(execId);
  }
}

function exists(what: string): MukonError {
  return new MukonError("PROCESS_EXISTS", `There is a ${what} already.`);
}

function unknown(what: string): MukonError {
  return new MukonError("PROCESS_UNKNOWN", `There is no ${what}.`);
}
