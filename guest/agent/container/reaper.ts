// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { warn } from "../log.ts";
import { exitCodeOf, reap } from "../native/process.ts";
import { lookAtStray } from "./stray.ts";

const CHILDREN_FILE = `/proc/self/task/${process.pid}/children`;
/** A signal can be lost between two scans; this bounds how late an exit can be seen. */
const SAFETY_SCAN_MS = 2000;
/** What is said of an end that nobody could tell the code of. */
const UNKNOWN_EXIT_CODE = 255;

type Listener = (exitCode: number) => void;

/**
 * Takes the exit codes of processes that crun leaves to the agent, and buries orphans. Children
 * that Node itself started belong to Node and are never touched.
 */
export class Reaper {
  readonly #listeners = new Map<number, Listener>();
  readonly #own = new Set<number>();
  #launches = 0;

  start(): void {
    process.on("SIGCHLD", () => this.scan());
    setInterval(() => {
      this.#findStrays();
      this.scan();
    }, SAFETY_SCAN_MS).unref();
  }

  /** Node started this process and waits for it. */
  addOwn(pid: number): void {
    this.#own.add(pid);
  }

  removeOwn(pid: number): void {
    this.#own.delete(pid);
  }

  /**
   * While this runs, an orphan that nobody knows yet may be the very process that `launch` is
   * about to name, so unknown ones stay in the process table.
   */
  async whileLaunching<Result>(launch: () => Promise<Result>): Promise<Result> {
    this.#launches += 1;
    try {
      return await launch();
    } finally {
      this.#launches -= 1;
      this.scan();
    }
  }

  /** Resolves with the exit code of a process that is, or will be, a child of the agent. */
  waitFor(pid: number): Promise<number> {
    return new Promise((resolve) => {
      this.#listeners.set(pid, resolve);
      this.scan();
    });
  }

  scan(): void {
    this.#deliver((pid) => {
      const status = reap(pid);
      return typeof status === "number" ? exitCodeOf(status) : undefined;
    });
    if (this.#launches === 0) this.#buryOrphans();
  }

  /**
   * A process is a child of the agent from the moment that the crun which started it has ended. Should one
   * not be, its end must not be waited for in vain, as the client would wait with us.
   */
  #findStrays(): void {
    this.#deliver((pid) => {
      const status = reap(pid);
      if (typeof status === "number") return exitCodeOf(status);
      const stray = status === "runs" ? undefined : lookAtStray(pid);
      if (stray === undefined || stray.state === "runs") return undefined;
      warn(`process ${pid} has ended, and was no child of the agent`);
      return stray.state === "gone" ? UNKNOWN_EXIT_CODE : exitCodeOf(stray.status);
    });
  }

  /** @param exitCode undefined as long as the process runs */
  #deliver(exitCode: (pid: number) => number | undefined): void {
    for (const [pid, listener] of this.#listeners) {
      const code = exitCode(pid);
      if (code === undefined) continue;
      this.#listeners.delete(pid);
      listener(code);
    }
  }

  #buryOrphans(): void {
    for (const pid of readChildren()) {
      if (!this.#own.has(pid) && !this.#listeners.has(pid)) reap(pid);
    }
  }
}

function readChildren(): number[] {
  try {
    return readFileSync(CHILDREN_FILE, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
