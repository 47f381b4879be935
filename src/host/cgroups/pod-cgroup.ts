// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../../logging/logger.ts";
import type { Journal } from "../journal/journal.ts";
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
  readonly #log: Logger;

  private constructor(directories: readonly string[], log: Logger) {
    this.#directories = directories;
    this.#log = log;
  }

  /**
   * Makes the cgroup, and those it lies in, each in the journal before it is there. What is there
   * already is used, and stays. Where cgroups cannot be written, as inside of another container, a
   * warning says so, and the pod goes without.
   */
  static make({ path, journal, log, hierarchies }: PodCgroupRequest): PodCgroup {
    const directories: string[] = [];
    const failures: string[] = [];
    for (const hierarchy of hierarchies ?? cgroupHierarchies()) {
      try {
        makeIn(hierarchy, path, journal);
        directories.push(join(hierarchy.mountPoint, path));
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (failures.length > 0 || directories.length === 0) warn(log, path, failures);
    return new PodCgroup(directories, log);
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

function makeIn(hierarchy: CgroupHierarchy, path: string, journal: Journal): void {
  const words = path.split("/").filter((word) => word !== "");
  let directory = hierarchy.mountPoint;
  for (const word of words) {
    directory = join(directory, word);
    if (!existsSync(directory)) {
      journal.append({ type: "cgroup", path: directory });
      // Somebody else may have made it meanwhile.
      mkdirSync(directory, { recursive: true, mode: 0o755 });
    }
    prepareCgroup(hierarchy, directory);
  }
}

function warn(log: Logger, path: string, failures: readonly string[]): void {
  log.warn(`the pod's processes are not (all) in its cgroup ${path} on the host: ${HINT}`, {
    failures: failures.slice(0, 20),
  });
}
