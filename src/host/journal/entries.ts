// SPDX-License-Identifier: Apache-2.0
import { isAbsolute, normalize, sep } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { CGROUP_ROOT } from "../../linux/cgroup-mode.ts";
import { runRoot, runtimeDirectoryRoot, stateRoot } from "../../linux/paths.ts";

/** `/run/mukon/x`: nothing nearer to the root belongs to one pod. */
const MIN_DEPTH = 3;

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const path = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));

const interfaceName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/));

const journalEntry = v.variant("type", [
  v.object({ type: v.literal("process"), role: v.string(), pid: whole, startTime: whole }),
  /** A block of ids: number times 65536 and up. */
  v.object({ type: v.literal("identity"), number: whole }),
  v.object({
    type: v.literal("user"),
    backend: v.picklist(["user-records", "useradd"]),
    name: v.pipe(v.string(), v.regex(/^[a-z_][a-z0-9_-]{0,31}$/)),
    uid: whole,
  }),
  /** Removed with all that is in it, but never across a mount. */
  v.object({ type: v.literal("directory"), path }),
  v.object({ type: v.literal("file"), path }),
  v.object({ type: v.literal("socket"), path }),
  v.object({ type: v.literal("mount"), path }),
  /** A tap device and the filters that join it to an interface, in a namespace that may be gone. */
  v.object({
    type: v.literal("mirror"),
    namespace: path,
    inode: whole,
    interface: interfaceName,
    tap: interfaceName,
  }),
  /** Removed when it is empty. */
  v.object({ type: v.literal("cgroup"), path }),
]);

/** One thing that outlives the shim, and how to name it. */
export type JournalEntry = v.InferOutput<typeof journalEntry>;

/** One line of the file, without its end. Undefined: it is damaged. */
export function parseEntry(line: string): JournalEntry | undefined {
  try {
    const result = v.safeParse(journalEntry, JSON.parse(line));
    return result.success && isSafe(result.output) ? result.output : undefined;
  } catch {
    return undefined;
  }
}

/** @throws JOURNAL_INVALID when undoing it could harm what is not the pod's */
export function formatEntry(entry: JournalEntry): string {
  const result = v.safeParse(journalEntry, entry);
  if (!result.success || !isSafe(entry)) {
    throw new MukonError("JOURNAL_INVALID", `the journal refuses ${JSON.stringify(entry)}`, {
      hint: "paths must be absolute, without . and .., and deep enough to belong to one pod",
    });
  }
  return `${JSON.stringify(result.output)}\n`;
}

function isSafe(entry: JournalEntry): boolean {
  if (!("path" in entry)) return true;
  const { path: target } = entry;
  if (!isAbsolute(target) || normalize(target) !== target || target.endsWith(sep)) return false;
  if (target.includes("\0") || target.split(sep).length - 1 < MIN_DEPTH) return false;
  if (entry.type === "cgroup") return target.startsWith(`${CGROUP_ROOT}/`);
  if (target.startsWith(`${CGROUP_ROOT}/`)) return false;
  const roots = [runRoot(), stateRoot(), runtimeDirectoryRoot()];
  return !roots.some((root) => root === target || root.startsWith(target + sep));
}
