// SPDX-License-Identifier: Apache-2.0
import { stat } from "node:fs/promises";
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import type { Device } from "../schema/agent.ts";
import type { Linux, LinuxDevice } from "../schema/oci.ts";
import { blockDeviceOf } from "../storage/drivers.ts";
import { driveHostDevice } from "../storage/host-device.ts";

type DeviceNode = Infer<typeof LinuxDevice>;
type Rule = NonNullable<Infer<typeof Linux>["resources"]>["devices"][number];

/** Kata's name for a device of the host's that the guest's kernel drives. */
const VFIO = "vfio-pci-gk";
export const DEVICE_TYPES: readonly string[] = ["blk", "scsi", VFIO];

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
    if (device.type === VFIO) {
      const own = await disksOfHost(device.options);
      list = [...list.filter(({ path }) => path !== device.containerPath), ...own];
      rules = [...rules, ...own.map(ruleFor)];
      continue;
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

/**
 * The nodes of disks among the host's devices, by the names that the kernel gives them. Network cards are
 * the pod's already, and others have no node that is known here.
 */
async function disksOfHost(options: readonly string[]): Promise<DeviceNode[]> {
  const nodes: DeviceNode[] = [];
  for (const option of options) {
    const path = await driveHostDevice(option.slice(option.indexOf("=") + 1));
    if (path === undefined) continue;
    const numbers = numbersOf((await stat(path)).rdev);
    nodes.push({ ...DEFAULTS, path, type: "b", ...numbers });
  }
  return nodes;
}

function ruleFor({ type, major, minor }: DeviceNode): Rule {
  return { allow: true, type, major, minor, access: "rwm" };
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
