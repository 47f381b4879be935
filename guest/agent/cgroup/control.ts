// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AgentError, isSystemError, Status } from "../errors.ts";

const FREEZE_TIMEOUT_MS = 10_000;
const FREEZE_POLL_MS = 5;

/** All processes below the cgroup; none when it is gone. */
export function processesIn(cgroup: string): number[] {
  try {
    const own = readFileSync(join(cgroup, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
    const children = readdirSync(cgroup, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => processesIn(join(cgroup, entry.name)));
    return [...own.map(Number), ...children];
  } catch (error) {
    if (isSystemError(error, "ENOENT") || isSystemError(error, "ENODEV")) return [];
    throw error;
  }
}

/** Kills everything below the cgroup in one go, faster than it can fork. */
export function killAll(cgroup: string): void {
  try {
    writeFileSync(join(cgroup, "cgroup.kill"), "1");
  } catch (error) {
    if (!isSystemError(error, "ENOENT") && !isSystemError(error, "ENODEV")) throw error;
  }
}

/** Sends the signal to everything below the cgroup, which holds still meanwhile. */
export async function signalAll(
  cgroup: string,
  signal: number,
  timeoutMs = FREEZE_TIMEOUT_MS,
): Promise<void> {
  const wasFrozen = readField(join(cgroup, "cgroup.freeze")) === "1";
  try {
    if (!wasFrozen) await setFrozen(cgroup, true, timeoutMs);
    for (const pid of processesIn(cgroup)) sendSignal(pid, signal);
  } finally {
    // Also when it took too long to freeze: it would stay frozen for ever.
    if (!wasFrozen) await setFrozen(cgroup, false);
  }
}

/** @returns false when there is no such process any more */
export function sendSignal(pid: number, signal: number): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (isSystemError(error, "ESRCH")) return false;
    throw error;
  }
}

export async function setFrozen(
  cgroup: string,
  isFrozen: boolean,
  timeoutMs = FREEZE_TIMEOUT_MS,
): Promise<void> {
  writeFileSync(join(cgroup, "cgroup.freeze"), isFrozen ? "1" : "0");
  const wanted = isFrozen ? "1" : "0";
  const deadline = Date.now() + timeoutMs;
  while (readKeys(join(cgroup, "cgroup.events")).get("frozen") !== BigInt(wanted)) {
    if (Date.now() > deadline) {
      throw new AgentError(Status.deadlineExceeded, `${cgroup} does not freeze or thaw`);
    }
    await delay(FREEZE_POLL_MS);
  }
}

/** Text of a cgroup file; empty when the kernel has no such file. */
export function readField(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}

/** A file of `key value` lines. */
export function readKeys(file: string): Map<string, bigint> {
  const keys = new Map<string, bigint>();
  for (const line of readField(file).split("\n")) {
    const [, key, value] = /^(\S+) (\d+)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) keys.set(key, BigInt(value));
  }
  return keys;
}
