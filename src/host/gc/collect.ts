// SPDX-License-Identifier: Apache-2.0
import { createLogger } from "../../logging/logger.ts";
import { collectHalfWritten } from "./half-written.ts";
import { type GarbageOptions, MINIMUM_AGE_MS } from "./options.ts";
import { collectBlocks, collectGroups, collectUsers } from "./orphans.ts";
import { collectSandboxes } from "./sandboxes.ts";
import { collectSockets } from "./sockets.ts";

/** In this order: a sandbox that is torn down leaves no orphans, a half-gone one does. */
const COLLECTORS = [
  collectSandboxes,
  collectUsers,
  collectGroups,
  collectBlocks,
  collectSockets,
  collectHalfWritten,
] as const;

/**
 * Cleans up after shims that were killed, and after a power failure: sandboxes without a shim,
 * blocks of ids and users without a sandbox, sockets that nobody listens on, half-written
 * files. Leaves alone what is
 * younger than ten seconds, since it may be on its way. Safe beside running pods and itself.
 *
 * Returns what was removed, for people: `sandbox x`, `user kata-1`. What would not go is logged, and
 * the rest is cleaned up all the same.
 */
export async function collectGarbage(options: Partial<GarbageOptions> = {}): Promise<string[]> {
  const all: GarbageOptions = {
    now: options.now ?? Date.now(),
    minimumAgeMs: options.minimumAgeMs ?? MINIMUM_AGE_MS,
    onFailure: options.onFailure ?? logFailure,
  };
  const removed: string[] = [];
  for (const collect of COLLECTORS) {
    removed.push(...(await collect(all)));
  }
  return removed;
}

function logFailure(item: string, error: unknown): void {
  createLogger({ component: "gc" }).error(`${item} could not be removed`, { error });
}
