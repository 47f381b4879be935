// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { Journal, OWNER_ROLE, readJournal } from "../host/journal/journal.ts";
import { isRunning } from "../host/journal/liveness.ts";
import { tearDown } from "../host/journal/tear-down.ts";

/**
 * Begins the journal of a pod, of which this process is the owner. What a killed owner left under
 * the same name is cleaned up first.
 * @throws SANDBOX_EXISTS when its owner lives, SANDBOX_KEY_INVALID, TEARDOWN_INCOMPLETE
 */
export async function openPodJournal(key: string, socketPath: string): Promise<Journal> {
  const journal = await openOrReplace(key);
  journal.append({ type: "socket", path: socketPath });
  return journal;
}

async function openOrReplace(key: string): Promise<Journal> {
  try {
    return Journal.open(key);
  } catch (error) {
    if (!(error instanceof MukonError) || error.code !== "SANDBOX_EXISTS") throw error;
    // Asked again under the sandbox's lock: another shim may be cleaning up too.
    const isReplaced = await tearDown(key, { isWanted: () => !hasLivingOwner(key) });
    if (!isReplaced) throw error;
    return Journal.open(key);
  }
}

/** The shim of a pod that this process can no longer be is another one. */
function hasLivingOwner(key: string): boolean {
  return readJournal(key).entries.some(
    (entry) =>
      entry.type === "process" &&
      entry.role === OWNER_ROLE &&
      isRunning({ pid: entry.pid, startTime: BigInt(entry.startTime) }),
  );
}
