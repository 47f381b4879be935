// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** What is known of a process by its number alone (proc_pid_stat(5)). */
export type Stray = { state: "runs" } | { state: "gone" } | { state: "ended"; status: number };

/**
 * A zombie waits for its parent to take notice. A dead one is about to go, and no parent can take notice of it
 * any more: in an emulated machine that was out of breath, such processes were seen to stay for ever.
 */
const ENDED: readonly (string | undefined)[] = ["Z", "X"];

/**
 * Looks at a process that is not (or no longer) a child of ours, whose end nobody would tell us: it may
 * wait for another parent to take notice of it, or have been taken from the process table by one.
 */
export function lookAtStray(pid: number): Stray {
  try {
    return readStray(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return { state: "gone" };
  }
}

/** @param text of the process's `stat` file */
export function readStray(text: string): Stray {
  // The name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // The status word is the last field, as waitpid(2) would have it.
  return ENDED.includes(fields[0])
    ? { state: "ended", status: Number(fields.at(-1)) }
    : { state: "runs" };
}
