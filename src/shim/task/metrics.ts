// SPDX-License-Identifier: Apache-2.0
import { create, toBinary } from "@bufbuild/protobuf";
import { MetricsSchema } from "../../generated/containerd/cgroups_v2_pb.ts";
import type { Stats } from "../../sandbox/messages/stats.ts";

const NANOSECONDS_PER_MICROSECOND = 1000;

/** What a container uses, in the form of cgroup v2, which containerd takes on any host. */
export function toMetrics(stats: Stats): { typeUrl: string; value: Uint8Array } {
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
  // The bare name: containerd wants no prefix.
  return { typeUrl: MetricsSchema.typeName, value: toBinary(MetricsSchema, metrics) };
}

function microseconds(nanoseconds: number): bigint {
  return BigInt(Math.floor(nanoseconds / NANOSECONDS_PER_MICROSECOND));
}
