// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import {
  isSameProcess,
  listThreads,
  type NamespaceName,
  type ProcessStatus,
  readIdMaps,
  readNamespaces,
  readProcessStatus,
} from "../../linux/process-status.ts";
import { formatIdMap } from "../../linux/user-namespace.ts";
import { deviationsOfRoot, readRoot, type SeenRoot } from "../jail/inspect-root.ts";
import { type ConfinedLaunch, capabilityMask, type ExpectedConfinement } from "./types.ts";

const POLL_MS = 2;
/** A program that filters its own system calls has started by then, also on a busy, emulated host. */
const FILTER_TIMEOUT_MS = 25_000;
const SECCOMP_FILTER = 2;
const ZOMBIE = "Z";
/** What {@link launchConfined} gives to every program. */
export const OWN_NAMESPACES = ["net", "ipc", "uts"] as const satisfies readonly NamespaceName[];
/** What it gives to those in a jail. */
export const JAIL_NAMESPACES = [...OWN_NAMESPACES, "mnt", "pid"] as const;

/** One fact that is not as it must be. */
export interface Deviation {
  fact:
    | "process"
    | "uid"
    | "gid"
    | "groups"
    | "capabilities"
    | "nnp"
    | "seccomp"
    | "namespace"
    | "id-map"
    | "root";
  message: string;
}

/** What the kernel says of a process; tests put their own in. */
export interface ProcessReader {
  isSame(process: ProcessHandle): boolean;
  /** Of every thread. */
  threads(pid: number): ProcessStatus[];
  namespaces(pid: number | "self"): Partial<Record<NamespaceName, string>>;
  /** Of user and group ids, with one blank between the numbers; asked for user namespaces only. */
  idMaps?(pid: number): string[];
  root(pid: number): SeenRoot | undefined;
}

const KERNEL: ProcessReader = {
  isSame: ({ pid, startTime }) => isSameProcess(pid, startTime),
  threads: (pid) =>
    listThreads(pid)
      .map((thread) => readProcessStatus(pid, thread))
      .filter((status) => status !== undefined),
  namespaces: (pid) => readNamespaces(pid === "self" ? process.pid : pid),
  idMaps: readIdMaps,
  root: readRoot,
};

/** What a launch is held to. */
export function expectedConfinement(
  launch: ConfinedLaunch,
  options: { seccomp: ExpectedConfinement["seccomp"] },
): ExpectedConfinement {
  const { role, uid, gid, groups, userNamespace, jail } = launch;
  const isWalledOff = launch.placeBehindWall !== undefined;
  const ownNamespaces: NamespaceName[] = [
    ...(jail === undefined ? OWN_NAMESPACES : JAIL_NAMESPACES),
  ].filter((name) => name !== "net" || !isWalledOff);
  if (userNamespace !== undefined) ownNamespaces.push("user");
  const expected = { role, uid, gid, groups, seccomp: options.seccomp, ownNamespaces };
  return {
    ...expected,
    ...(userNamespace && { userNamespace }),
    // Who makes what is shared its root, sooner or later, is looked at when that is done.
    ...(jail?.shared === undefined && { jail }),
  };
}

/** Namespaces that the kernel takes from a process as it ends (exit_task_namespaces). */
const OF_LIVING = ["mnt", "ipc", "uts", "net"] as const satisfies readonly NamespaceName[];

/** The one difference of a process that is not there to be looked at. */
export const HAS_ENDED = "the process has ended";

/**
 * Compares what the kernel says of every thread with what was asked for. The caller kills the
 * process when this throws: programs that drop rights have been known to fail quietly.
 * @throws CONFINEMENT_BROKEN with every difference
 */
export function verifyConfinement(
  target: ProcessHandle,
  expected: ExpectedConfinement,
  reader: ProcessReader = KERNEL,
): void {
  const deviations = findDeviations(target, expected, reader);
  if (deviations.length > 0) throw broken(target, expected, deviations);
}

/**
 * Like {@link verifyConfinement}, but gives the program time to switch its own seccomp filter on;
 * everything else must be right from the start.
 * @throws CONFINEMENT_BROKEN
 */
export async function awaitConfinement(
  target: ProcessHandle,
  expected: ExpectedConfinement,
  options: { timeoutMs?: number; reader?: ProcessReader } = {},
): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? filterTimeoutMs());
  for (;;) {
    const deviations = findDeviations(target, expected, options.reader ?? KERNEL);
    if (deviations.length === 0) return;
    const isOnlySeccomp = deviations.every(({ fact }) => fact === "seccomp");
    if (!isOnlySeccomp || Date.now() >= deadline) throw broken(target, expected, deviations);
    await sleep(POLL_MS);
  }
}

/** `MUKON_FILTER_TIMEOUT_MS` sets it, for tests of programs that never do. */
function filterTimeoutMs(): number {
  return Number(process.env.MUKON_FILTER_TIMEOUT_MS) || FILTER_TIMEOUT_MS;
}

/** Every difference, in plain words; empty when all is as expected. */
export function findDeviations(
  target: ProcessHandle,
  expected: ExpectedConfinement,
  reader: ProcessReader = KERNEL,
): Deviation[] {
  const threads = reader.threads(target.pid);
  const own = reader.namespaces("self");
  const theirs = reader.namespaces(target.pid);
  const root = expected.jail === undefined ? undefined : reader.root(target.pid);
  // Last, so that all of the above was read from the process that is meant.
  const isOver = threads.every(({ state }) => state === ZOMBIE);
  // One that is about to be a zombie is in none of these any more; its pids and its user stay a while.
  const isLeaving = OF_LIVING.every((name) => theirs[name] === undefined);
  if (isOver || isLeaving || !reader.isSame(target)) {
    return [{ fact: "process", message: HAS_ENDED }];
  }
  const found = threads.flatMap((thread) => deviationsOfThread(thread, target.pid, expected));
  found.push(...deviationsOfMap(target, expected, reader));
  for (const name of expected.ownNamespaces) {
    if (theirs[name] !== undefined && theirs[name] !== own[name]) continue;
    found.push({ fact: "namespace", message: `it has no ${name} namespace of its own` });
  }
  if (expected.jail !== undefined) {
    const messages = deviationsOfRoot(root, expected.jail);
    found.push(...messages.map((message) => ({ fact: "root" as const, message })));
  }
  return found.filter(
    (item, index) => found.findIndex(({ message }) => message === item.message) === index,
  );
}

/** Capabilities in a user namespace are worth what its ids are. */
function deviationsOfMap(
  target: ProcessHandle,
  { userNamespace }: ExpectedConfinement,
  reader: ProcessReader,
): Deviation[] {
  if (userNamespace === undefined) return [];
  const wanted = formatIdMap(userNamespace.map);
  const maps = reader.idMaps?.(target.pid) ?? [];
  if (maps.length > 0 && maps.every((map) => map === wanted)) return [];
  const message = `its user namespace maps other ids than it was made for (${maps.join(" | ")})`;
  return [{ fact: "id-map", message }];
}

function deviationsOfThread(
  thread: ProcessStatus,
  pid: number,
  expected: ExpectedConfinement,
): Deviation[] {
  const found: Deviation[] = [];
  const note = (fact: Deviation["fact"], message: string): void => {
    found.push({ fact, message });
  };
  const all = (ids: readonly number[], wanted: number): boolean =>
    ids.length === 4 && ids.every((id) => id === wanted);
  if (!all(thread.uids, expected.uid)) {
    note("uid", `user ids are ${thread.uids.join(" ")}, not ${expected.uid}`);
  }
  if (!all(thread.gids, expected.gid)) {
    note("gid", `group ids are ${thread.gids.join(" ")}, not ${expected.gid}`);
  }
  if (!isSameSet(thread.groups, expected.groups)) {
    const wanted = expected.groups.join(" ") || "none";
    note("groups", `supplementary groups are ${thread.groups.join(" ") || "none"}, not ${wanted}`);
  }
  const allowed = capabilityMask(expected.userNamespace?.capabilities ?? []);
  for (const [set, mask] of Object.entries(thread.capabilities)) {
    const excess = mask & ~allowed;
    if (excess === 0n) continue;
    note("capabilities", `capabilities are left (${set} ${excess.toString(16)})`);
  }
  if (!thread.noNewPrivileges) note("nnp", "no_new_privs is off");
  const isFiltered =
    expected.seccomp === "filter" || (expected.seccomp === "main" && thread.pid === pid);
  if (isFiltered && thread.seccomp !== SECCOMP_FILTER) {
    note("seccomp", `no seccomp filter is on (mode ${thread.seccomp})`);
  }
  return found;
}

function isSameSet(a: readonly number[], b: readonly number[]): boolean {
  const left = new Set(a);
  const right = new Set(b);
  return left.size === right.size && [...left].every((item) => right.has(item));
}

function broken(
  target: ProcessHandle,
  expected: ExpectedConfinement,
  deviations: readonly Deviation[],
): MukonError {
  const list = deviations.map(({ message }) => message);
  return new MukonError(
    "CONFINEMENT_BROKEN",
    `${expected.role} (pid ${target.pid}) is not confined as it must be: ${list.join("; ")}`,
    {
      hint: "the pod was not started; see which of setpriv and unshare does not work here: mukon check",
      details: { deviations: list },
    },
  );
}
