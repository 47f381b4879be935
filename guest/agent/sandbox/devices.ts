// SPDX-License-Identifier: Apache-2.0
import { stat } from "node:fs/promises";
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import type { Device } from "../schema/agent.ts";
import type { Linux } from "../schema/oci.ts";
import { blockDeviceOf } from "../storage/drivers.ts";

export const DEVICE_TYPES: readonly string[] = ["blk", "scsi"];

/** Gives devices of the spec the numbers that they have in this guest. */
export async function withDevices(
  linux: Infer<typeof Linux> | undefined,
  devices: readonly Infer<typeof Device>[],
): Promise<Infer<typeof Linux> | undefined> {
  if (linux === undefined) return undefined;
  let list = linux.devices;
  let rules = linux.resources?.devices ?? [];
  for (const device of devices) {
    if (!DEVICE_TYPES.includes(device.type)) {
      throw new AgentError(
        Status.invalidArgument,
        `device type "${device.type.slice(0, 40)}" is unknown (known: ${DEVICE_TYPES.join(", ")})`,
      );
    }
    const node = await stat(await blockDeviceOf(device.vmPath || device.id));
    const { major, minor } = numbersOf(node.rdev);
    const former = list.find((entry) => entry.path === device.containerPath);
    list = list.filter((entry) => entry !== former);
    list.push({ ...(former ?? DEFAULTS), path: device.containerPath, type: "b", major, minor });
    rules = rules.map((rule) =>
      former !== undefined && rule.major === former.major && rule.minor === former.minor
        ? { ...rule, major, minor }
        : rule,
    );
  }
  const resources = linux.resources && { ...linux.resources, devices: rules };
  return { ...linux, devices: list, resources };
}

const DEFAULTS = { fileMode: 0o600, uid: 0, gid: 0 };

/** As glibc packs a device number into 64 bits. */
export function numbersOf(device: number): { major: bigint; minor: bigint } {
  const value = BigInt(device);
  return {
    major: ((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xfffff000n),
    minor: (value & 0xffn) | ((value >> 12n) & 0xffffff00n),
  };
}
