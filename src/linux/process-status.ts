// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";

/** Bit masks, as in /proc/<pid>/status (proc_pid_status(5)). */
export interface CapabilitySets {
  inheritable: bigint;
  permitted: bigint;
  effective: bigint;
  bounding: bigint;
  ambient: bigint;
}

export interface ProcessStatus {
  name: string;
  pid: number;
  ppid: number;
  state: string;
  /** Real, effective, saved, file system. */
  uids: number[];
  gids: number[];
  groups: number[];
  capabilities: CapabilitySets;
  noNewPrivileges: boolean;
  /** 0 off, 1 strict, 2 filter. */
  seccomp: number;
  threads: number;
  /** Clock ticks since boot; with the pid, it names a process for good. */
  startTime: bigint;
}

/**
 * Facts of a process, or of one of its threads. Undefined when there is none (any more).
 * @throws PROCESS_STATUS_UNREADABLE when a fact is missing: it must not pass for "none"
 */
export function readProcessStatus(pid: number, thread = pid): ProcessStatus | undefined {
  const text = readText(`/proc/${pid}/task/${thread}/status`);
  const startTime = readStartTime(pid);
  if (text === undefined || startTime === undefined) return undefined;
  return { ...parseStatus(text), startTime };
}

/** Parses the text of /proc/<pid>/status. */
export function parseStatus(status: string): Omit<ProcessStatus, "startTime"> {
  const text = (key: string, pattern: RegExp): string => {
    const value = new RegExp(`^${key}:[ \\t]*(.*)$`, "m").exec(status)?.[1]?.trim();
    if (value === undefined || !pattern.test(value)) {
      throw new MukonError("PROCESS_STATUS_UNREADABLE", `${key} is missing in /proc: ${value}`);
    }
    return value;
  };
  const number = (key: string): number => Number(text(key, /^\d+$/));
  const ids = (key: string): number[] => split(text(key, /^\d+(\s+\d+){3}$/));
  const mask = (key: string): bigint => BigInt(`0x${text(key, /^[0-9a-f]{16}$/)}`);
  return {
    name: text("Name", /^/),
    pid: number("Pid"),
    ppid: number("PPid"),
    state: text("State", /^[A-Za-z]/).slice(0, 1),
    uids: ids("Uid"),
    gids: ids("Gid"),
    groups: split(text("Groups", /^[\d\s]*$/)),
    capabilities: {
      inheritable: mask("CapInh"),
      permitted: mask("CapPrm"),
      effective: mask("CapEff"),
      bounding: mask("CapBnd"),
      ambient: mask("CapAmb"),
    },
    noNewPrivileges: number("NoNewPrivs") === 1,
    seccomp: number("Seccomp"),
    threads: number("Threads"),
  };
}

function split(numbers: string): number[] {
  return numbers.split(/\s+/).filter(Boolean).map(Number);
}

/** Undefined when there is no such process (any more). */
export function readStartTime(pid: number): bigint | undefined {
  const field = readStat(pid)[19];
  return field === undefined ? undefined : BigInt(field);
}

/** Fields of /proc/<pid>/stat from the third (the state) on; the name before it may hold anything. */
function readStat(pid: number): string[] {
  const text = readText(`/proc/${pid}/stat`);
  return text === undefined ? [] : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Whether the process with this pid still runs and is the one that began at `startTime`. */
export function isSameProcess(pid: number, startTime: bigint): boolean {
  const [state, ...fields] = readStat(pid);
  // A process whose first thread has ended looks like a zombie while the others run.
  const isOver = state === "X" || (state === "Z" && listThreads(pid).length <= 1);
  return !isOver && fields[18] === String(startTime);
}

export const NAMESPACES = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] as const;
export type NamespaceName = (typeof NAMESPACES)[number];

/** Namespace to its identity, such as `net:[4026531840]`. */
export function readNamespaces(pid: number): Partial<Record<NamespaceName, string>> {
  const result: Partial<Record<NamespaceName, string>> = {};
  for (const name of NAMESPACES) {
    try {
      result[name] = readlinkSync(`/proc/${pid}/ns/${name}`);
    } catch {
      // The process is gone, or not ours to look at.
    }
  }
  return result;
}

/** Maps of user and group ids of its user namespace, an extent a line; none of one that is gone. */
export function readIdMaps(pid: number): string[] {
  return ["uid_map", "gid_map"]
    .map((name) => readText(`/proc/${pid}/${name}`))
    .filter((text) => text !== undefined)
    .map((text) =>
      text
        .trim()
        .replace(/[ \t]+/g, " ")
        .replace(/ ?\n ?/g, "\n"),
    );
}

export function listThreads(pid: number): number[] {
  return numericEntries(`/proc/${pid}/task`);
}

export function listProcesses(): number[] {
  return numericEntries("/proc");
}

/** Open descriptors and what each leads to. */
export function readDescriptors(pid: number): Map<number, string> {
  const result = new Map<number, string>();
  for (const fd of numericEntries(`/proc/${pid}/fd`)) {
    try {
      result.set(fd, readlinkSync(`/proc/${pid}/fd/${fd}`));
    } catch {
      // Closed since.
    }
  }
  return result;
}

function numericEntries(directory: string): number[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
