// SPDX-License-Identifier: Apache-2.0
import type { StatsContainerResponse } from "../../generated/agent/agent_pb.ts";
import type { Stats } from "../../sandbox/messages/stats.ts";

type CgroupStats = NonNullable<StatsContainerResponse["cgroupStats"]>;

const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);

/** The agent's numbers in the form that goes to the shim: each cut to what JSON keeps exactly. */
export function toStats(response: StatsContainerResponse): Stats {
  const cgroup = response.cgroupStats;
  return {
    cpu: cpuStats(cgroup),
    memory: memoryStats(cgroup),
    pids: {
      current: count(cgroup?.pidsStats?.current),
      limit: count(cgroup?.pidsStats?.limit),
    },
  };
}

function cpuStats(cgroup: CgroupStats | undefined): Stats["cpu"] {
  const usage = cgroup?.cpuStats?.cpuUsage;
  const throttling = cgroup?.cpuStats?.throttlingData;
  return {
    usageNanoseconds: count(usage?.totalUsage),
    userNanoseconds: count(usage?.usageInUsermode),
    kernelNanoseconds: count(usage?.usageInKernelmode),
    periods: count(throttling?.periods),
    throttledPeriods: count(throttling?.throttledPeriods),
    throttledNanoseconds: count(throttling?.throttledTime),
  };
}

function memoryStats(cgroup: CgroupStats | undefined): Stats["memory"] {
  const memory = cgroup?.memoryStats;
  const named = (name: string): number => {
    const stats = memory?.stats ?? {};
    return Object.hasOwn(stats, name) ? count(stats[name]) : 0;
  };
  return {
    usageBytes: count(memory?.usage?.usage),
    maxUsageBytes: count(memory?.usage?.maxUsage),
    limitBytes: count(memory?.usage?.limit),
    failures: count(memory?.usage?.failcnt),
    swapUsageBytes: count(memory?.swapUsage?.usage),
    swapLimitBytes: count(memory?.swapUsage?.limit),
    cacheBytes: count(memory?.cache),
    anonymousBytes: named("anon"),
    fileBytes: named("file"),
    inactiveFileBytes: named("inactive_file"),
    pageFaults: named("pgfault"),
    majorPageFaults: named("pgmajfault"),
  };
}

function count(value: bigint | undefined): number {
  if (value === undefined || value < 0n) return 0;
  return Number(value > MAX_COUNT ? MAX_COUNT : value);
}
