// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Infer, Partially } from "../protobuf/field.ts";
import type { BlkioEntry, CgroupStats, MemoryData, NetworkStats } from "../schema/stats.ts";
import { readField, readKeys } from "./control.ts";

const NANOSECONDS_PER_MICROSECOND = 1000n;
/** What "no limit" is called in numbers. */
const UNLIMITED = 2n ** 64n - 1n;

/** Measurements of one container, from its cgroup's files. */
export function readCgroupStats(cgroup: string): Partially<Infer<typeof CgroupStats>> {
  return {
    cpuStats: cpuStats(cgroup),
    memoryStats: memoryStats(cgroup),
    pidsStats: {
      current: number(join(cgroup, "pids.current")),
      limit: number(join(cgroup, "pids.max")),
    },
    blkioStats: ioStats(readField(join(cgroup, "io.stat"))),
    hugetlbStats: hugetlbStats(cgroup),
  };
}

function cpuStats(cgroup: string) {
  const keys = readKeys(join(cgroup, "cpu.stat"));
  const time = (name: string) => (keys.get(name) ?? 0n) * NANOSECONDS_PER_MICROSECOND;
  return {
    cpuUsage: {
      totalUsage: time("usage_usec"),
      usageInKernelmode: time("system_usec"),
      usageInUsermode: time("user_usec"),
    },
    throttlingData: {
      periods: keys.get("nr_periods") ?? 0n,
      throttledPeriods: keys.get("nr_throttled") ?? 0n,
      throttledTime: time("throttled_usec"),
    },
  };
}

function memoryStats(cgroup: string) {
  const stats = readKeys(join(cgroup, "memory.stat"));
  const events = readKeys(join(cgroup, "memory.events"));
  return {
    cache: stats.get("file") ?? 0n,
    usage: memoryData(cgroup, "memory", events.get("max") ?? 0n),
    swapUsage: memoryData(cgroup, "memory.swap", 0n),
    useHierarchy: true,
    stats,
  };
}

function memoryData(cgroup: string, prefix: string, failcnt: bigint): Infer<typeof MemoryData> {
  return {
    usage: number(join(cgroup, `${prefix}.current`)),
    maxUsage: number(join(cgroup, `${prefix}.peak`)),
    limit: number(join(cgroup, `${prefix}.max`)),
    failcnt,
  };
}

/** Lines such as `254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`. */
export function ioStats(text: string) {
  const ioServiceBytesRecursive: Infer<typeof BlkioEntry>[] = [];
  const ioServicedRecursive: Infer<typeof BlkioEntry>[] = [];
  for (const line of text.split("\n")) {
    const [, major, minor] = /^(\d+):(\d+) /.exec(line) ?? [];
    if (major === undefined || minor === undefined) continue;
    const value = (key: string) => BigInt(new RegExp(`\\b${key}=(\\d+)`).exec(line)?.[1] ?? 0);
    const entry = (op: string, key: string) => ({
      major: BigInt(major),
      minor: BigInt(minor),
      op,
      value: value(key),
    });
    ioServiceBytesRecursive.push(entry("Read", "rbytes"), entry("Write", "wbytes"));
    ioServicedRecursive.push(entry("Read", "rios"), entry("Write", "wios"));
  }
  return { ioServiceBytesRecursive, ioServicedRecursive };
}

function hugetlbStats(cgroup: string) {
  const stats = new Map<string, { usage: bigint; maxUsage: bigint; failcnt: bigint }>();
  for (const file of listFiles(cgroup)) {
    const [, size] = /^hugetlb\.([^.]+)\.current$/.exec(file) ?? [];
    if (size === undefined) continue;
    stats.set(size, {
      usage: number(join(cgroup, file)),
      maxUsage: 0n,
      failcnt: readKeys(join(cgroup, `hugetlb.${size}.events`)).get("max") ?? 0n,
    });
  }
  return stats;
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function number(file: string): bigint {
  const text = readField(file);
  if (text === "max") return UNLIMITED;
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** From the text of /proc/net/dev. */
export function networkStats(text: string): Infer<typeof NetworkStats>[] {
  return text
    .split("\n")
    .map((line) => /^\s*([^\s:]+):\s*(.*)$/.exec(line))
    .flatMap((match) => (match === null ? [] : [lineStats(match[1] ?? "", match[2] ?? "")]));
}

function lineStats(name: string, columns: string): Infer<typeof NetworkStats> {
  const values = columns
    .trim()
    .split(/\s+/)
    .map((text) => (/^\d+$/.test(text) ? BigInt(text) : 0n));
  const at = (index: number) => values[index] ?? 0n;
  return {
    name,
    rxBytes: at(0),
    rxPackets: at(1),
    rxErrors: at(2),
    rxDropped: at(3),
    txBytes: at(8),
    txPackets: at(9),
    txErrors: at(10),
    txDropped: at(11),
  };
}
