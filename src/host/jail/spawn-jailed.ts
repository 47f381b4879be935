// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import {
  changeDirectory,
  changeRoot,
  NEW_MOUNTS,
  NEW_PIDS,
  OWN_DIRECTORIES,
  setNamespace,
  unshare,
} from "../../linux/mount-calls.ts";
import { buildRoot } from "./build-root.ts";
import { step } from "./step.ts";
import type { Jail } from "./types.ts";

/** A child in a pid namespace of its own, and the mount namespace that waits for it. */
export interface Jailed {
  child: ChildProcess;
  /** Close it once the child is in there. */
  mountNamespace: number;
}

/**
 * Builds a jail and starts a process for it: the first of a new pid namespace, so that with it all
 * end that it may have started. `spawn` gets the path of the jail's mount namespace, which the
 * process is to enter.
 *
 * The calling thread builds the jail with its own hands and returns before anything else can run:
 * some thirty system calls per jail are quicker than any program that makes them. Threads that are
 * started here would be in the wrong place, so nothing in between may wait.
 * @throws JAIL_NOT_BUILT, what `spawn` throws
 */
export function spawnJailed(
  jail: Jail,
  options: { tool: string; spawn: (mountNamespacePath: string) => ChildProcess },
): Jailed {
  const home = openHome();
  let mountNamespace: number | undefined;
  try {
    step("make namespaces", () => unshare(OWN_DIRECTORIES | NEW_MOUNTS | NEW_PIDS));
    try {
      mountNamespace = openSync("/proc/thread-self/ns/mnt", "r");
      buildRoot(jail, options.tool);
    } finally {
      returnHome(home, NEW_MOUNTS);
    }
    const path = `/proc/${process.pid}/fd/${mountNamespace}`;
    return { child: options.spawn(path), mountNamespace };
  } catch (error) {
    if (mountNamespace !== undefined) closeSync(mountNamespace);
    throw error;
  } finally {
    returnHome(home, NEW_PIDS);
    for (const fd of Object.values(home)) closeSync(fd);
  }
}

interface Home {
  mounts: number;
  pids: number;
  root: number;
  directory: number;
}

function openHome(): Home {
  const open = (path: string): number => step(`open ${path}`, () => openSync(path, "r"));
  return {
    mounts: open("/proc/thread-self/ns/mnt"),
    pids: open("/proc/thread-self/ns/pid"),
    root: open("/"),
    directory: open("."),
  };
}

/** A shim that is caught in a jail must do nothing more: it ends, and the clean-up follows. */
function returnHome(home: Home, which: typeof NEW_MOUNTS | typeof NEW_PIDS): void {
  try {
    if (which === NEW_PIDS) {
      setNamespace(home.pids, NEW_PIDS);
      return;
    }
    setNamespace(home.mounts, NEW_MOUNTS);
    changeDirectory(home.root);
    changeRoot(".");
    changeDirectory(home.directory);
  } catch (error) {
    console.error("mukon: the way back out of a jail is closed:", error);
    process.abort();
  }
}
