// SPDX-License-Identifier: Apache-2.0
import { sandboxDirectory } from "../../linux/paths.ts";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import { OWNER_ROLE, readJournal } from "../journal/journal.ts";
import { isRunning } from "../journal/liveness.ts";
import { tearDown } from "../journal/tear-down.ts";
import { listSandboxes } from "../sandbox-state.ts";
import { type GarbageOptions, isYoung, removeEach } from "./options.ts";

/** Tears down sandboxes whose shim is gone. */
export async function collectSandboxes(options: GarbageOptions): Promise<string[]> {
  // Asked again under the sandbox's lock: a new one of the same name may have come meanwhile.
  const isGarbage = (key: string): boolean =>
    !isYoung(sandboxDirectory(key), options) && !ownersOf(key).some(isRunning);
  return await removeEach(listSandboxes().filter(isGarbage), {
    describe: (key) => `sandbox ${key}`,
    remove: (key) => tearDown(key, { isWanted: () => isGarbage(key) }),
    options,
  });
}

/** The shim, or more than one if it handed over; none when its journal was not begun. */
function ownersOf(key: string): ProcessHandle[] {
  return readJournal(key).entries.flatMap((entry) =>
    entry.type === "process" && entry.role === OWNER_ROLE
      ? [{ pid: entry.pid, startTime: BigInt(entry.startTime) }]
      : [],
  );
}
