// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeNumbers } from "../../linux/device-node.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Journal } from "../journal/journal.ts";
import { DeviceRules } from "./device-rules.ts";
import { type CgroupHierarchy, cgroupHierarchies, prepareCgroup } from "./hierarchies.ts";

const HINT =
  "the pod runs, but this host neither accounts its processes to it nor limits them by it; see whether /sys/fs/cgroup can be written";

export interface PodCgroupRequest {
  /** Below the root of each hierarchy; see podCgroupPath. */
  path: string;
  journal: Journal;
  log: Logger;
  hierarchies?: readonly CgroupHierarchy[];
}

/** The cgroup of a pod's processes on the host, in every hierarchy. */
export class PodCgroup {
  readonly #directories: readonly string[];
  readonly #deviceRules: readonly DeviceRules[];
  readonly #log: Logger;

  private constructor(
    directories: readonly string[],
    deviceRules: readonly DeviceRules[],
    log: Logger,
  ) {
    this.#directories = directories;
    this.#deviceRules = deviceRules;
    this.#log = log;
  }

  /**
   * Makes the cgroup, and those it lies in, each in the journal before it is there. What is there
   * already is used, and stays, with the devices that it may use; one of the pod's own can use next to
   * none: see {@link DeviceRules}. Where cgroups cannot be written, as inside of another container, a
   * warning says so, and the pod goes without.
   */
  static make({ path, journal, log, hierarchies }: PodCgroupRequest): PodCgroup {
    const directories: string[] = [];
    const deviceRules: DeviceRules[] = [];
    const failures: string[] = [];
    for (const hierarchy of hierarchies ?? cgroupHierarchies()) {
      try {
        const directory = join(hierarchy.mountPoint, path);
        const isOwn = makeIn(hierarchy, path, journal);
        directories.push(directory);
        if (isOwn) deviceRules.push(...rulesOf(hierarchy, directory, log));
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failures.length > 0 || directories.length === 0) warn(log, path, failures);
    return new PodCgroup(directories, deviceRules, log);
  }

  /**
   * Lets its processes open these character devices, in place of those that they were allowed for the same
   * purpose before.
   * @throws the system's error
   */
  allowDevices(purpose: string, nodes: readonly NodeNumbers[]): void {
    for (const rules of this.#deviceRules) rules.allow(purpose, nodes);
  }

  /** Moves a process that was just started, and with it all that it will start. */
  async add(pid: number): Promise<void> {
    const writes = this.#directories.map((directory) =>
      writeFile(join(directory, "cgroup.procs"), String(pid)),
    );
    const results = await Promise.allSettled(writes);
    const failures = results
      .filter((result) => result.status === "rejected")
      .map(({ reason }) => String(reason.message));
    if (failures.length > 0) warn(this.#log, this.#directories[0] ?? "", failures);
  }
}

/** Whether the cgroup was not there before. */
function makeIn(hierarchy: CgroupHierarchy, path: string, journal: Journal): boolean {
  const words = path.split("/").filter((word) => word !== "");
  let directory = hierarchy.mountPoint;
  let isNew = false;
  for (const word of words) {
    directory = join(directory, word);
    isNew = !existsSync(directory);
    if (isNew) {
      journal.append({ type: "cgroup", path: directory });
      // Somebody else may have made it meanwhile.
      mkdirSync(directory, { recursive: true, mode: 0o755 });
    }
    prepareCgroup(hierarchy, directory);
  }
  return isNew;
}

/** Devices are kept from the pod's processes by their jails; this is one wall more. */
function rulesOf(hierarchy: CgroupHierarchy, directory: string, log: Logger): DeviceRules[] {
  try {
    const rules = DeviceRules.enforce(hierarchy, directory);
    return rules === undefined ? [] : [rules];
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    log.warn(`${directory} does not limit the devices that the pod's processes may open`, {
      failure,
    });
    return [];
  }
}

function warn(log: Logger, path: string, failures: readonly string[]): void {
  log.warn(`the pod's processes are not (all) in its cgroup ${path} on the host: ${HINT}`, {
    failures: failures.slice(0, 20),
  });
}
