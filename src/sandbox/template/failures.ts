// SPDX-License-Identifier: Apache-2.0
import { rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { templatesDirectory } from "../../linux/paths.ts";

/** Takes note that a template could not be made, or did not become a pod, and of why. */
export function noteFailure(key: string, why: string): void {
  try {
    writeFileSync(markOf(key), `${why}\n`, { mode: 0o600 });
  } catch {
    // Then it is tried again sooner than it need be.
  }
}

export function forgetFailure(key: string): void {
  rmSync(markOf(key), { force: true });
}

/** When that was, in milliseconds since the epoch; 0: never. */
export function lastFailureMs(key: string): number {
  return statSync(markOf(key), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function markOf(key: string): string {
  return join(templatesDirectory(), `.failed-${key}`);
}
