// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Of /proc/<pid>/stat: USER_HZ, which is 100 wherever Node runs (proc_pid_stat(5)). */
const TICKS_PER_S = 100;
const MILLI = 1000;
const MS_PER_S = 1000;
const UTIME = 11;
const STIME = 12;

/** How much of a CPU each process takes, in thousandths, watched for `forMs`. */
export async function millicoresOf(pids: readonly number[], forMs: number): Promise<number[]> {
  const before = pids.map(ticksOf);
  await delay(forMs);
  return pids.map((pid, index) => {
    const seconds = (ticksOf(pid) - (before[index] ?? 0)) / TICKS_PER_S;
    return (seconds / (forMs / MS_PER_S)) * MILLI;
  });
}

function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name may hold spaces and parentheses; the state comes after its last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[UTIME]) + Number(fields[STIME]);
}
