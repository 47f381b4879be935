// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listProcesses } from "../../src/linux/process-status.ts";

/** Everything that a pod could leave on a host, as sorted lines. */
export interface HostSnapshot {
  processes: string[];
  users: string[];
  groups: string[];
  mounts: string[];
  runFiles: string[];
  runtimeDirectories: string[];
  networkInterfaces: string[];
  cgroups: string[];
}

const PROGRAMS =
  /qemu-system|keeper\.cjs|shim-daemon|containerd-shim|mukon\.cjs|skopeo|umoci|mkfs\.erofs/;
/** Caches and locks of the host's side, which are meant to stay until the next boot. */
const KEPT =
  /^\/run\/mukon\/(accelerator\.json|guest-verified\.json|programs(\/|$)|[^/]*\.lock$|[a-z-]+$)/;

export function takeHostSnapshot(): HostSnapshot {
  return {
    processes: mukonProcesses(),
    users: linesOf("/etc/passwd").filter((line) => line.startsWith("kata-")),
    groups: linesOf("/etc/group").filter((line) => line.startsWith("kata-")),
    mounts: linesOf("/proc/self/mountinfo")
      .map((line) => line.split(" ").slice(4).join(" "))
      .sort(),
    runFiles: [
      ...filesBelow("/run/mukon").filter((path) => !KEPT.test(path)),
      ...filesBelow("/run/userdb"),
    ].sort(),
    runtimeDirectories: entries("/run/user"),
    networkInterfaces: entries("/sys/class/net"),
    cgroups: directoriesBelow("/sys/fs/cgroup", 4).filter((path) => /mukon|kata/.test(path)),
  };
}

/** Waits (bounded) until the host is as it was: some clean-up ends a moment after its command. */
export async function assertHostRestored(before: HostSnapshot, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const now = takeHostSnapshot();
    try {
      assert.deepEqual(now, before);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(100);
  }
}

function mukonProcesses(): string[] {
  const found: string[] = [];
  for (const pid of listProcesses()) {
    const command = readText(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
    if (PROGRAMS.test(command)) found.push(`${pid} ${command.slice(0, 120)}`);
  }
  return found.sort();
}

function linesOf(path: string): string[] {
  return readText(path).split("\n").filter(Boolean);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

function filesBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)));
  } catch {
    return [];
  }
}

function directoriesBelow(directory: string, depth: number): string[] {
  if (depth === 0) return [];
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => {
        const path = join(directory, entry.name);
        return [path, ...directoriesBelow(path, depth - 1)];
      });
  } catch {
    return [];
  }
}
