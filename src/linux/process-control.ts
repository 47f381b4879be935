// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:os";
import { systemCall } from "./system-call.ts";

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_CHILD_SUBREAPER = 36;

const prctl = systemCall(
  "int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)",
);

/** Orphans among our descendants become our children; prctl(2). */
export function becomeSubreaper(): void {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/**
 * This process gets the signal when the thread that started it ends. The kernel forgets it when
 * the process changes its ids, and a parent that has died before the call is not noticed.
 */
export function signalOnParentDeath(signal: NodeJS.Signals): void {
  prctl(PR_SET_PDEATHSIG, constants.signals[signal], 0, 0, 0);
}

/** No core dump, and nobody but root may trace us or open our descriptors through /proc. */
export function forbidDump(): void {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
