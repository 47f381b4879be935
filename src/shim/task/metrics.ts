// SPDX-License-Identifier: Apache-2.0
import { create, toBinary } from "@bufbuild/protobuf";
import { MetricsSchema as MetricsV1Schema } from "../../generated/containerd/cgroups_v1_pb.ts";
import { MetricsSchema } from "../../generated/containerd/cgroups_v2_pb.ts";
import type { CgroupMode } from "../../linux/cgroup-mode.ts";
import type { Stats } from "../../sandbox/messages/stats.ts";

const NANOSECONDS_PER_MICROSECOND = 1000;

/** The bare name of a message, as containerd wants it, and the message. */
interface EncodedMetrics {
  typeUrl: string;
  value: Uint8Array;
}

/**
 * What a container uses, in the form that the host's own cgroups have: what reads the metrics of
 * this host's other containers finds the same fields.
 */
export function toMetrics(stats: Stats, mode: CgroupMode): EncodedMetrics {
  return mode === "unified" ? toVersion2(stats) : toVersion1(stats);
}

function toVersion1({ cpu, memory, pids }: Stats): EncodedMetrics {
  const metrics = create(MetricsV1Schema, {
    pids: { current: BigInt(pids.current), limit: BigInt(pids.limit) },
    cpu: {
      usage: {
        total: BigInt(cpu.usageNanoseconds),
        kernel: BigInt(cpu.kernelNanoseconds),
        user: BigInt(cpu.userNanoseconds),
      },
      throttling: {
        periods: BigInt(cpu.periods),
        throttledPeriods: BigInt(cpu.throttledPeriods),
        throttledTime: BigInt(cpu.throttledNanoseconds),
      },
    },
    memory: {
      cache: BigInt(memory.cacheBytes),
      rss: BigInt(memory.anonymousBytes),
      pgFault: BigInt(memory.pageFaults),
      pgMajFault: BigInt(memory.majorPageFaults),
      totalInactiveFile: BigInt(memory.inactiveFileBytes),
      usage: {
        usage: BigInt(memory.usageBytes),
        max: BigInt(memory.maxUsageBytes),
        limit: BigInt(memory.limitBytes),
        failcnt: BigInt(memory.failures),
      },
      swap: { usage: BigInt(memory.swapUsageBytes), limit: BigInt(memory.swapLimitBytes) },
    },
  });
  return { typeUrl: MetricsV1Schema.typeName, value: toBinary(MetricsV1Schema, metrics) };
}

function toVersion2(stats: Stats): EncodedMetrics {
  const { cpu, memory, pids } = stats;
  const metrics = create(MetricsSchema, {
    pids: { current: BigInt(pids.current), limit: BigInt(pids.limit) },
    cpu: {
      usageUsec: microseconds(cpu.usageNanoseconds),
      userUsec: microseconds(cpu.userNanoseconds),
      systemUsec: microseconds(cpu.kernelNanoseconds),
      nrPeriods: BigInt(cpu.periods),
      nrThrottled: BigInt(cpu.throttledPeriods),
      throttledUsec: microseconds(cpu.throttledNanoseconds),
    },
    memory: {
      anon: BigInt(memory.anonymousBytes),
      file: BigInt(memory.fileBytes),
      inactiveFile: BigInt(memory.inactiveFileBytes),
      pgfault: BigInt(memory.pageFaults),
      pgmajfault: BigInt(memory.majorPageFaults),
      usage: BigInt(memory.usageBytes),
      usageLimit: BigInt(memory.limitBytes),
      swapUsage: BigInt(memory.swapUsageBytes),
      swapLimit: BigInt(memory.swapLimitBytes),
    },
  });
  return { typeUrl: MetricsSchema.typeName, value: toBinary(MetricsSchema, metrics) };
}

function microseconds(nanoseconds: number): bigint {
  return BigInt(Math.floor(nanoseconds / NANOSECONDS_PER_MICROSECOND));
}
