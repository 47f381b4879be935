// SPDX-License-Identifier: Apache-2.0
import { lstatSync } from "node:fs";

export const MINIMUM_AGE_MS = 10_000;

export interface GarbageOptions {
  /** Milliseconds since the epoch. */
  now: number;
  minimumAgeMs: number;
  onFailure: (item: string, error: unknown) => void;
}

/** True too when it is gone, so that nobody looks at it any further. */
export function isYoung(path: string, options: GarbageOptions): boolean {
  const changedAt = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return changedAt === undefined || options.now - changedAt < options.minimumAgeMs;
}

/** Runs each removal; one that fails is told, and does not keep the others from running. */
export async function removeEach<Item>(
  items: readonly Item[],
  work: {
    describe: (item: Item) => string;
    /** False: it was not garbage after all. */
    remove: (item: Item) => Promise<boolean>;
    options: GarbageOptions;
  },
): Promise<string[]> {
  const removed: string[] = [];
  for (const item of items) {
    const description = work.describe(item);
    try {
      if (await work.remove(item)) removed.push(description);
    } catch (error) {
      work.options.onFailure(description, error);
    }
  }
  return removed;
}
