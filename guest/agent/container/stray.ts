// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/** What is known of a process by its number alone (proc_pid_stat(5)). */
export type Stray = { state: "runs" } | { state: "gone" } | { state: "ended"; status: number };

/**
 * Looks at a process that is not (or no longer) a child of ours, whose end nobody would tell us: it may
 * wait for another parent to take notice of it, or have been taken from the process table by one.
 */
export function lookAtStray(pid: number): Stray {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return { state: "gone" };
  }
  // The name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  // The status word is the last field, as waitpid(2) would have it.
  return fields[0] === "Z" ? { state: "ended", status: Number(fields.at(-1)) } : { state: "runs" };
}
