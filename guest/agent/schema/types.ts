// SPDX-License-Identifier: Apache-2.0
// Wire numbers of Kata's types.proto.
import { int32, message, repeated, string, uint32, uint64 } from "../protobuf/field.ts";

export const IpAddress = { family: int32(1), address: string(2), mask: string(3) };

export const Interface = {
  device: string(1),
  name: string(2),
  ipAddresses: repeated(message(3, IpAddress)),
  mtu: uint64(4),
  hwAddr: string(5),
  devicePath: string(6),
  type: string(7),
  rawFlags: uint32(8),
};

export const Route = {
  dest: string(1),
  gateway: string(2),
  device: string(3),
  source: string(4),
  scope: uint32(5),
  family: int32(6),
  flags: uint32(7),
  mtu: uint32(8),
};

export const ArpNeighbor = {
  toIpAddress: message(1, IpAddress),
  device: string(2),
  lladdr: string(3),
  state: int32(4),
  flags: int32(5),
};

/** types.IPFamily */
export const Family = { v4: 0, v6: 1 } as const;
