// SPDX-License-Identifier: Apache-2.0
// Wire numbers of Kata's oci.proto: what limits a container.
import { bool, int64, message, repeated, string, uint32, uint64 } from "../protobuf/field.ts";

export const LinuxDeviceCgroup = {
  allow: bool(1),
  type: string(2),
  major: int64(3),
  minor: int64(4),
  access: string(5),
};

const LinuxMemory = {
  limit: int64(1),
  reservation: int64(2),
  swap: int64(3),
  kernel: int64(4),
  kernelTcp: int64(5),
  swappiness: uint64(6),
  disableOomKiller: bool(7),
};

const LinuxCpu = {
  shares: uint64(1),
  quota: int64(2),
  period: uint64(3),
  realtimeRuntime: int64(4),
  realtimePeriod: uint64(5),
  cpus: string(6),
  mems: string(7),
};

const LinuxWeightDevice = {
  major: int64(1),
  minor: int64(2),
  weight: uint32(3),
  leafWeight: uint32(4),
};

const LinuxThrottleDevice = { major: int64(1), minor: int64(2), rate: uint64(3) };

const LinuxBlockIo = {
  weight: uint32(1),
  leafWeight: uint32(2),
  weightDevice: repeated(message(3, LinuxWeightDevice)),
  throttleReadBpsDevice: repeated(message(4, LinuxThrottleDevice)),
  throttleWriteBpsDevice: repeated(message(5, LinuxThrottleDevice)),
  throttleReadIopsDevice: repeated(message(6, LinuxThrottleDevice)),
  throttleWriteIopsDevice: repeated(message(7, LinuxThrottleDevice)),
};

const LinuxHugepageLimit = { pageSize: string(1), limit: uint64(2) };

export const LinuxResources = {
  devices: repeated(message(1, LinuxDeviceCgroup)),
  memory: message(2, LinuxMemory),
  cpu: message(3, LinuxCpu),
  pids: message(4, { limit: int64(1) }),
  blockIo: message(5, LinuxBlockIo),
  hugepageLimits: repeated(message(6, LinuxHugepageLimit)),
};
