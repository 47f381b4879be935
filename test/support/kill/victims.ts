// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { readJournal } from "../../../src/host/journal/journal.ts";
import { isRunning, killNow } from "../../../src/host/journal/liveness.ts";
import type { ProcessHandle } from "../../../src/linux/pidfd.ts";
import { listThreads, readStartTime } from "../../../src/linux/process-status.ts";

/** The processes of a pod beside its shim, as its journal calls them. */
export const VICTIMS = ["vmm", "keeper", "network", "virtiofsd", "passt"] as const;
export type Victim = (typeof VICTIMS)[number];

/** How to know one by its arguments, which it has from its first instruction on, as a tool before it. */
const ARGUMENTS: Record<Victim, RegExp> = {
  vmm: /qemu-system\S* .*-name /,
  keeper: /keeper\.cjs/,
  network: /sleep infinity/,
  virtiofsd: /virtiofsd (?!--version)/,
  passt: /passt --foreground/,
};

/** Kills it if it is there by now, as its journal has it; whether it was. */
export function strikeJournalled(key: string, victim: Victim): boolean {
  const found = readJournal(key).entries.flatMap((entry) =>
    entry.type === "process" && entry.role === victim
      ? [{ pid: entry.pid, startTime: BigInt(entry.startTime) }]
      : [],
  );
  return strikeAll(found);
}

/** Kills it as soon as it is started, before anybody has written that down; whether it was there. */
export function strikeOnSight(shimPid: number, victim: Victim): boolean {
  const found = childrenOf(shimPid).flatMap((pid) => {
    const startTime = readStartTime(pid);
    if (startTime === undefined || !ARGUMENTS[victim].test(argumentsOf(pid))) return [];
    return [{ pid, startTime }];
  });
  return strikeAll(found);
}

/** By the kernel's own list: to look at all processes takes too long to see one start. */
function childrenOf(parent: number): number[] {
  return listThreads(parent).flatMap((thread) =>
    readText(`/proc/${parent}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

function strikeAll(found: readonly ProcessHandle[]): boolean {
  const there = found.filter(isRunning);
  for (const one of there) killNow(one);
  return there.length > 0;
}

function argumentsOf(pid: number): string {
  return readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
