// SPDX-License-Identifier: Apache-2.0
import type { VolumeEntry } from "./snapshot.ts";

/** What makes a copy equal to its source again. */
export type Change = VolumeEntry | { path: string; kind: "nothing" };

/**
 * Changes from one snapshot to the next, in an order in which a reader never meets a link to what
 * is not there yet: new files first, then links, and what has gone last, children before parents.
 */
export function changesBetween(
  before: readonly VolumeEntry[],
  after: readonly VolumeEntry[],
): Change[] {
  const old = new Map(before.map((entry) => [entry.path, entry]));
  const names = new Set(after.map(({ path }) => path));
  const changed = after.filter((entry) => !isSame(old.get(entry.path), entry));
  const replaced = changed.filter((entry) => {
    const { kind } = old.get(entry.path) ?? entry;
    return kind !== entry.kind;
  });
  return [
    ...replaced.reverse().map(({ path }) => ({ path, kind: "nothing" as const })),
    ...changed.filter(({ kind }) => kind !== "link"),
    ...changed.filter(({ kind }) => kind === "link"),
    ...before
      .filter(({ path }) => !names.has(path))
      .toReversed()
      .map(({ path }) => ({ path, kind: "nothing" as const })),
  ];
}

function isSame(a: VolumeEntry | undefined, b: VolumeEntry): boolean {
  if (a === undefined || a.kind !== b.kind || a.mode !== b.mode) return false;
  return a.uid === b.uid && a.gid === b.gid && a.data.equals(b.data);
}
