// SPDX-License-Identifier: Apache-2.0
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { sandboxDirectory, sandboxesDirectory } from "../../linux/paths.ts";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import { readStartTime } from "../../linux/process-status.ts";
import { ensureRootOnlyDirectory } from "../run-directories.ts";
import { assertSandboxKey } from "../sandbox-key.ts";
import { formatEntry, type JournalEntry, parseEntry } from "./entries.ts";

/** The process whose end makes a sandbox garbage. */
export const OWNER_ROLE = "shim";

/**
 * What a sandbox is about to acquire, written down before it does. The file lies on tmpfs, which a
 * killed process cannot keep it from reaching; so no fsync.
 */
export class Journal {
  readonly key: string;
  /** Of the sandbox: 0700. */
  readonly directory: string;
  readonly #descriptor: number;
  #isOpen = true;

  private constructor(key: string, directory: string, descriptor: number) {
    this.key = key;
    this.directory = directory;
    this.#descriptor = descriptor;
  }

  /**
   * Makes the sandbox's directory and its journal; its first entry is the owner, by default the
   * calling process.
   * @throws SANDBOX_EXISTS, SANDBOX_KEY_INVALID
   */
  static open(key: string, options: { owner?: ProcessHandle } = {}): Journal {
    assertSandboxKey(key);
    ensureRootOnlyDirectory(sandboxesDirectory());
    const directory = sandboxDirectory(key);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const journal = new Journal(key, directory, createFile(key, journalPath(key)));
    const owner = options.owner ?? ownHandle();
    const startTime = Number(owner.startTime);
    journal.append({ type: "process", role: OWNER_ROLE, pid: owner.pid, startTime });
    return journal;
  }

  /**
   * Call it before the acquisition, never after. A process: at once after its start.
   * @throws POD_ENDED when it was closed: what is acquired from then on, nobody would give back
   */
  append(entry: JournalEntry): void {
    if (!this.#isOpen) throw new MukonError("POD_ENDED", `sandbox ${this.key} is being ended`);
    const line = Buffer.from(formatEntry(entry));
    if (writeSync(this.#descriptor, line) !== line.length) {
      throw new MukonError("INTERNAL", `the journal of ${this.key} took half an entry only`, {
        hint: "see whether the run root's file system is full: df /run",
      });
    }
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }
}

export function journalPath(key: string): string {
  return join(sandboxDirectory(key), "journal");
}

export interface JournalContents {
  /** In the order they were written. */
  entries: JournalEntry[];
  /** Whole lines that make no sense; a half-written last line is not among them. */
  damagedLines: number;
}

/** Empty when there is no journal (yet). */
export function readJournal(key: string): JournalContents {
  assertSandboxKey(key);
  let text: string;
  try {
    text = readFileSync(journalPath(key), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { entries: [], damagedLines: 0 };
    throw error;
  }
  // What follows the last line end was being written when its writer died: it acquired nothing yet.
  const lines = text.split("\n").slice(0, -1);
  const entries = lines.map(parseEntry).filter((entry) => entry !== undefined);
  return { entries, damagedLines: lines.length - entries.length };
}

function createFile(key: string, path: string): number {
  try {
    return openSync(path, "ax", 0o600);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw new MukonError("SANDBOX_EXISTS", `sandbox ${key} is there already`, {
      hint: "use another name, or, if it was killed, clean up first: mukon gc",
      cause,
    });
  }
}

function ownHandle(): ProcessHandle {
  return { pid: process.pid, startTime: readStartTime(process.pid) ?? 0n };
}
