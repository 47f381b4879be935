// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { withLock } from "../../linux/lock.ts";
import { sandboxDirectory } from "../../linux/paths.ts";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import { createLogger } from "../../logging/logger.ts";
import { freeBlock, listBlocks } from "../identity/blocks.ts";
import { runLock } from "../run-directories.ts";
import { assertSandboxKey } from "../sandbox-key.ts";
import type { JournalEntry } from "./entries.ts";
import { readJournal } from "./journal.ts";
import { killAll } from "./kill.ts";
import { removeDirectory, undoEntry } from "./undo.ts";

/** Locks are shared by name: one for each sandbox would have to be removed, which is a race. */
const LOCKS = 16;
const LOCK_TIMEOUT_MS = 60_000;

export interface TearDownOptions {
  /** Asked while the sandbox is locked: false leaves it as it is. */
  isWanted?: () => boolean;
  killTimeoutMs?: number;
}

/**
 * Gives back all that a sandbox has acquired, whoever calls and however often: kills its processes
 * (the caller apart), undoes its journal backwards, removes its directory, frees its ids.
 * Resolves to false when `isWanted` said no.
 * @throws TEARDOWN_INCOMPLETE when something would not go; the journal is kept for the next try
 */
export async function tearDown(key: string, options: TearDownOptions = {}): Promise<boolean> {
  assertSandboxKey(key);
  return await withLock(
    lockOf(key),
    async () => {
      if (options.isWanted?.() === false) return false;
      await undoAll(key, options);
      return true;
    },
    { timeoutMs: LOCK_TIMEOUT_MS },
  );
}

async function undoAll(key: string, options: TearDownOptions): Promise<void> {
  const { entries, damagedLines } = readJournal(key);
  if (damagedLines > 0) {
    const log = createLogger({ component: "host", sandboxId: key });
    log.warn("the journal has damaged lines; what they name may be left", { damagedLines });
  }
  const blocks = blocksOwnedBy(key);
  try {
    await killAll({ processes: entries.flatMap(processOf), blocks }, options.killTimeoutMs);
  } catch (error) {
    // With a process alive nothing else may go: not its ids, nor the directory it could write to.
    throw incomplete(key, [asMukonError(error)]);
  }
  const failures: MukonError[] = [];
  for (const entry of entries.toReversed()) {
    await undoEntry(entry, key).catch((error: unknown) => {
      failures.push(asMukonError(error));
    });
  }
  if (failures.length > 0) throw incomplete(key, failures);
  await removeDirectory(sandboxDirectory(key));
  // Last: while a block is taken, nobody else's things can be mistaken for this sandbox's.
  for (const number of blocks) freeBlock(number, key);
}

export function blocksOwnedBy(key: string): number[] {
  return listBlocks()
    .filter(({ owner }) => owner === key)
    .map(({ number }) => number);
}

function processOf(entry: JournalEntry): ProcessHandle[] {
  return entry.type === "process" ? [{ pid: entry.pid, startTime: BigInt(entry.startTime) }] : [];
}

function lockOf(key: string): string {
  const hash = createHash("sha256").update(key).digest();
  return runLock(`teardown-${hash.readUInt32LE(0) % LOCKS}`);
}

function incomplete(key: string, failures: readonly MukonError[]): MukonError {
  const reasons = failures.map(({ code, message }) => `${message} [${code}]`);
  const hints = failures.map(({ hint }) => hint).filter((hint) => hint !== undefined);
  return new MukonError(
    "TEARDOWN_INCOMPLETE",
    `sandbox ${key} is not cleaned up wholly: ${reasons.join("; ")}`,
    {
      hint: [...new Set(hints), "then try again: mukon gc"].join("; "),
      details: { failures: reasons },
      cause: failures[0],
    },
  );
}
