// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { readProcessStatus } from "../../linux/process-status.ts";
import { inNewMountNamespace, inNewPidNamespace } from "../../linux/thread-namespaces.ts";
import { buildRoot } from "./build-root.ts";
import { type BuiltJail, makeDoor } from "./door.ts";
import { KILLED_HINT } from "./killed.ts";
import { step } from "./step.ts";
import { JAIL_ROOT, type Jail } from "./types.ts";

/** How long a process that was killed takes to be seen as one that has ended. */
const ENDING_TRIES = 5;
const ENDING_POLL_MS = 5;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** A child in a pid namespace of its own, on its way into the jail. */
export interface Jailed {
  child: ChildProcess;
  /** To be called once it is in there, or has ended. */
  entered(): void;
}

/**
 * Starts a process in a new pid namespace, whose first it is (with it all end that it may have
 * started), and builds a jail for it. `spawn` gets the path of the door that the process is to wait
 * at: see DOOR_SCRIPT.
 *
 * The calling thread builds the jail with its own hands and returns before anything else can run:
 * two hundred system calls per jail are quicker than any program that makes them.
 * @throws JAIL_NOT_BUILT, what `spawn` throws
 */
export function spawnJailed(jail: Jail, spawn: (doorPath: string) => ChildProcess): Jailed {
  const door = makeDoor();
  let child: ChildProcess | undefined;
  try {
    return step("get namespaces", () =>
      inNewPidNamespace(() => {
        child = spawn(door.path);
        const built = build(jail);
        door.open(built);
        const entered = (): void => {
          for (const fd of Object.values(built)) closeSync(fd);
          door.remove();
        };
        return { child, entered };
      }),
    );
  } catch (error) {
    // Before the door goes, by which it would be turned away.
    const isOver = child?.pid !== undefined && hasEnded(child.pid);
    door.remove();
    child?.on("error", () => {});
    child?.kill("SIGKILL");
    throw isOver ? endedMeanwhile(error) : error;
  }
}

/** Nobody has waited for it, so it is a zombie then, or about to be one. */
function hasEnded(pid: number): boolean {
  for (let tries = 0; tries < ENDING_TRIES; tries += 1) {
    if (["Z", "X", undefined].includes(readProcessStatus(pid)?.state)) return true;
    Atomics.wait(NEVER, 0, 0, ENDING_POLL_MS);
  }
  return false;
}

/** What is left of a pid namespace then cannot be mounted, among others. */
function endedMeanwhile(cause: unknown): MukonError {
  return new MukonError("JAIL_NOT_BUILT", "the process that the jail was made for was killed", {
    hint: KILLED_HINT,
    cause,
  });
}

function build(jail: Jail): BuiltJail {
  return inNewMountNamespace(() => {
    const mountNamespace = openSync("/proc/thread-self/ns/mnt", "r");
    try {
      buildRoot(jail);
      return { mountNamespace, root: openSync(JAIL_ROOT, "r") };
    } catch (error) {
      closeSync(mountNamespace);
      throw error;
    }
  });
}
