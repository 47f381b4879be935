// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

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

/** Undefined when there is no such process (any more). */
export function readProcessStatus(pid: number, thread?: number): ProcessStatus | undefined {
  const directory = thread === undefined ? `/proc/${pid}` : `/proc/${pid}/task/${thread}`;
  const text = readText(`${directory}/status`);
  const startTime = readStartTime(pid);
  if (text === undefined || startTime === undefined) return undefined;
  const fields = new Map(
    text
      .split("\n")
      .filter((line) => line.includes(":"))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
  return { ...parseFields(fields), startTime };
}

function parseFields(fields: ReadonlyMap<string, string>): Omit<ProcessStatus, "startTime"> {
  const text = (key: string): string => fields.get(key) ?? "";
  const numbers = (key: string): number[] => text(key).split(/\s+/).filter(Boolean).map(Number);
  const mask = (key: string): bigint => BigInt(`0x${text(key) || "0"}`);
  return {
    name: text("Name"),
    pid: Number(text("Pid")),
    ppid: Number(text("PPid")),
    state: text("State").slice(0, 1),
    uids: numbers("Uid"),
    gids: numbers("Gid"),
    groups: numbers("Groups"),
    capabilities: {
      inheritable: mask("CapInh"),
      permitted: mask("CapPrm"),
      effective: mask("CapEff"),
      bounding: mask("CapBnd"),
      ambient: mask("CapAmb"),
    },
    noNewPrivileges: text("NoNewPrivs") === "1",
    seccomp: Number(text("Seccomp")),
    threads: Number(text("Threads")),
  };
}

/** Field 22 of /proc/<pid>/stat; the name before it may hold blanks and parentheses. */
export function readStartTime(pid: number): bigint | undefined {
  const text = readText(`/proc/${pid}/stat`);
  const field = text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  return field === undefined ? undefined : BigInt(field);
}

/** Whether the process with this pid is still the one that began at `startTime`. */
export function isSameProcess(pid: number, startTime: bigint): boolean {
  return readStartTime(pid) === startTime && readProcessStatus(pid)?.state !== "Z";
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
