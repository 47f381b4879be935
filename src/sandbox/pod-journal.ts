// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { Journal, OWNER_ROLE, readJournal } from "../host/journal/journal.ts";
import { killAll } from "../host/journal/kill.ts";
import { isRunning } from "../host/journal/liveness.ts";
import { blocksOwnedBy, tearDown } from "../host/journal/tear-down.ts";
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

/**
 * Kills what a pod consists of, this process apart, and leaves all else as it is.
 * @throws PROCESS_NOT_KILLED
 */
export async function killOwn(key: string): Promise<void> {
  await killAll({ processes: processesOf(key), blocks: blocksOwnedBy(key) });
}

function ownersOf(key: string): ProcessHandle[] {
  return processesOf(key, (role) => role === OWNER_ROLE);
}

function processesOf(
  key: string,
  isWanted: (role: string) => boolean = () => true,
): ProcessHandle[] {
  return readJournal(key).entries.flatMap((entry) =>
    entry.type === "process" && isWanted(entry.role)
      ? [{ pid: entry.pid, startTime: BigInt(entry.startTime) }]
      : [],
  );
}
