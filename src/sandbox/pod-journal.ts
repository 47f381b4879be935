// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { Journal, OWNER_ROLE, readJournal } from "../host/journal/journal.ts";
import { isRunning } from "../host/journal/liveness.ts";
import { tearDown } from "../host/journal/tear-down.ts";
import type { ProcessHandle } from "../linux/pidfd.ts";

/**
 * Begins the journal of a pod, of which this process is the owner. What a killed owner left under
 * the same name is cleaned up first.
 * @throws SANDBOX_EXISTS when its owner lives, SANDBOX_KEY_INVALID, TEARDOWN_INCOMPLETE
 */
export async function openPodJournal(key: string): Promise<Journal> {
  try {
    return Journal.open(key);
  } catch (error) {
    if (!(error instanceof MukonError) || error.code !== "SANDBOX_EXISTS") throw error;
    // Asked under the sandbox's lock: another shim may be cleaning up too.
    const isReplaced = await tearDown(key, { isWanted: () => !ownersOf(key).some(isRunning) });
    if (!isReplaced) throw error;
    return Journal.open(key);
  }
}

/**
 * Gives back all that this process has acquired for a pod. When somebody else has cleaned up
 * already, a later pod of the same name is left alone, and the result is false.
 * @throws TEARDOWN_INCOMPLETE; the journal is kept then, for `mukon gc`
 */
export async function tearDownOwn(key: string): Promise<boolean> {
  const isOurs = (): boolean => ownersOf(key).some(({ pid }) => pid === process.pid);
  return await tearDown(key, { isWanted: isOurs });
}

function ownersOf(key: string): ProcessHandle[] {
  return readJournal(key).entries.flatMap((entry) =>
    entry.type === "process" && entry.role === OWNER_ROLE
      ? [{ pid: entry.pid, startTime: BigInt(entry.startTime) }]
      : [],
  );
}
