// SPDX-License-Identifier: Apache-2.0
import type { Infer } from "../protobuf/field.ts";
import type { LinuxDevice } from "../schema/oci.ts";
import type { LinuxDeviceCgroup, LinuxResources } from "../schema/resources.ts";
import { type Json, unlessEmpty, unlessZero } from "./json.ts";

export type Resources = Infer<typeof LinuxResources>;
type DeviceRule = Infer<typeof LinuxDeviceCgroup>;
type Device = Infer<typeof LinuxDevice>;

/** Any number, in device rules. */
const ANY = -1n;

const rule = (type: string, major: bigint, minor: bigint, access: string): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

/** As container engines have it: making nodes is harmless, using them is what is restricted. */
const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  { allow: false, type: "a", major: ANY, minor: ANY, access: "rwm" },
  rule("c", ANY, ANY, "m"),
  rule("b", ANY, ANY, "m"),
  rule("c", 1n, 3n, "rwm"), // null
  rule("c", 1n, 5n, "rwm"), // zero
  rule("c", 1n, 7n, "rwm"), // full
  rule("c", 1n, 8n, "rwm"), // random
  rule("c", 1n, 9n, "rwm"), // urandom
  rule("c", 5n, 0n, "rwm"), // tty
  rule("c", 5n, 2n, "rwm"), // ptmx
  rule("c", 136n, ANY, "rwm"), // pts
];

/**
 * Limits in crun's form. What proto3 cannot tell from "not said" is left out; so is what cgroup
 * version 2 has no knob for (kernel memory, realtime, network classes).
 */
export function resourcesJson(resources: Resources | undefined): Record<string, Json> {
  const memory = resources?.memory;
  const cpu = resources?.cpu;
  return {
    memory: memory && {
      limit: unlessZero(memory.limit),
      reservation: unlessZero(memory.reservation),
      swap: unlessZero(memory.swap),
    },
    cpu: cpu && {
      shares: unlessZero(cpu.shares),
      quota: unlessZero(cpu.quota),
      period: unlessZero(cpu.period),
      cpus: unlessZero(cpu.cpus),
      mems: unlessZero(cpu.mems),
    },
    pids: resources?.pids && { limit: unlessZero(resources.pids.limit) },
    blockIO: blockIoJson(resources),
    hugepageLimits: unlessEmpty(resources?.hugepageLimits.map((limit) => ({ ...limit })) ?? []),
  };
}

function blockIoJson(resources: Resources | undefined): Json {
  const io = resources?.blockIo;
  if (io === undefined) return undefined;
  const throttle = (list: typeof io.throttleReadBpsDevice): Json =>
    unlessEmpty(list.map((device) => ({ ...device })));
  return {
    weight: unlessZero(io.weight),
    throttleReadBpsDevice: throttle(io.throttleReadBpsDevice),
    throttleWriteBpsDevice: throttle(io.throttleWriteBpsDevice),
    throttleReadIOPSDevice: throttle(io.throttleReadIopsDevice),
    throttleWriteIOPSDevice: throttle(io.throttleWriteIopsDevice),
  };
}

/**
 * Device rules: those of the spec, or the usual ones and the container's own devices. Without any
 * rule a container could open the disks that hold the other containers' files.
 */
export function deviceRulesJson(
  resources: Resources | undefined,
  devices: readonly Device[],
): Json {
  const given = resources?.devices ?? [];
  if (given.length > 0) return given.map(ruleJson);
  const own = devices.map((device) => rule(device.type, device.major, device.minor, "rwm"));
  return [...DEFAULT_DEVICE_RULES, ...own].map(ruleJson);
}

function ruleJson(device: DeviceRule): Json {
  return {
    allow: device.allow,
    type: unlessZero(device.type),
    major: device.major === ANY ? undefined : device.major,
    minor: device.minor === ANY ? undefined : device.minor,
    access: unlessZero(device.access),
  };
}
