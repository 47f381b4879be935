// SPDX-License-Identifier: Apache-2.0
// Wire numbers of Kata's agent.proto: measurements of a container.
import { bool, map, message, repeated, string, uint64 } from "../protobuf/field.ts";

export const MemoryData = {
  usage: uint64(1),
  maxUsage: uint64(2),
  failcnt: uint64(3),
  limit: uint64(4),
};

const CpuStats = {
  cpuUsage: message(1, {
    totalUsage: uint64(1),
    percpuUsage: repeated(uint64(2)),
    usageInKernelmode: uint64(3),
    usageInUsermode: uint64(4),
  }),
  throttlingData: message(2, {
    periods: uint64(1),
    throttledPeriods: uint64(2),
    throttledTime: uint64(3),
  }),
};

const MemoryStats = {
  cache: uint64(1),
  usage: message(2, MemoryData),
  swapUsage: message(3, MemoryData),
  kernelUsage: message(4, MemoryData),
  useHierarchy: bool(5),
  stats: map(6, uint64(2)),
};

export const BlkioEntry = { major: uint64(1), minor: uint64(2), op: string(3), value: uint64(4) };

const HugetlbStats = { usage: uint64(1), maxUsage: uint64(2), failcnt: uint64(3) };

export const CgroupStats = {
  cpuStats: message(1, CpuStats),
  memoryStats: message(2, MemoryStats),
  pidsStats: message(3, { current: uint64(1), limit: uint64(2) }),
  blkioStats: message(4, {
    ioServiceBytesRecursive: repeated(message(1, BlkioEntry)),
    ioServicedRecursive: repeated(message(2, BlkioEntry)),
  }),
  hugetlbStats: map(5, message(2, HugetlbStats)),
};

export const NetworkStats = {
  name: string(1),
  rxBytes: uint64(2),
  rxPackets: uint64(3),
  rxErrors: uint64(4),
  rxDropped: uint64(5),
  txBytes: uint64(6),
  txPackets: uint64(7),
  txErrors: uint64(8),
  txDropped: uint64(9),
};

export const StatsContainerResponse = {
  cgroupStats: message(1, CgroupStats),
  networkStats: repeated(message(2, NetworkStats)),
};
