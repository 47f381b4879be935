// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import { asMukonError } from "../../errors/mukon-error.ts";

/** That a process has ended shows on its sockets first. */
const LAST_SIGNS_MS = 100;
/** What the host has run out of, no pod would get. */
const SHORTAGES: ReadonlySet<string> = new Set([
  "DISK_FULL",
  "FILES_EXHAUSTED",
  "MEMORY_EXHAUSTED",
]);

/** When there is a machine: of passt, which is started while the guest comes up. */
const OF_LAUNCHES = /^(LAUNCH|CONFINEMENT|JAIL)_/;
/** What messages call it. */
export const VMM_ROLE = "VMM";

/** How a process has ended, as Node tells it; both null: it has not. */
interface Ended {
  exitCode: number | null;
  signalCode: NodeJS.Signals | null;
}

/** A machine that was started from a template, whatever became of it. */
export interface StartedClone {
  vmm: { child: Ended };
  keeper: { child: Ended };
}

/**
 * The template that may be to blame for a clone that did not come up: not for a keeper that has ended
 * or breaks the rules, nor for a VMM that somebody has killed, nor for the end of another process of the
 * pod's, nor for what keeps any VMM from being started.
 */
export async function suspectTemplate(
  template: string | undefined,
  machine: StartedClone | undefined,
  error: unknown,
): Promise<string | undefined> {
  const { code, details } = asMukonError(error);
  if (template === undefined || code.startsWith("KEEPER_") || SHORTAGES.has(code)) return undefined;
  if (machine === undefined) {
    const isEnded = code === "LAUNCH_FAILED" && details?.role === "vmm";
    return isEnded && details.signal !== "SIGKILL" ? template : undefined;
  }
  if (OF_LAUNCHES.test(code)) return undefined;
  if (details?.role !== undefined && details.role !== VMM_ROLE) return undefined;
  const { vmm, keeper } = machine;
  await delay(LAST_SIGNS_MS);
  const isKeeperThere = keeper.child.exitCode === null && keeper.child.signalCode === null;
  return isKeeperThere && vmm.child.signalCode !== "SIGKILL" ? template : undefined;
}
