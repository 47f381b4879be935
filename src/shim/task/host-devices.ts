// SPDX-License-Identifier: Apache-2.0
import { statSync } from "node:fs";
import { isBind } from "../../guest-protocol/agent-mounts.ts";
import type { OciMount, OciSpec } from "../../guest-protocol/oci-spec.ts";
import { numbersOf } from "../../host/block-device.ts";
import type { NodeNumbers } from "../../linux/device-node.ts";
import type { Logger } from "../../logging/logger.ts";
import type { PodDevice, PodDevices } from "../../sandbox/pod-devices.ts";

const GROUP_NODE = /^\/dev\/vfio\/\d+$/;

/** A VFIO group of the host's that the container is to have. */
export interface WantedDevice {
  node: NodeNumbers;
  /** In the container, by the spec: `/dev/vfio/12`. */
  destination: string;
}

/** For the keeper: a device that the guest has for the container. */
export interface ContainerDevice extends PodDevice {
  destination: string;
}

/**
 * Finds VFIO groups in a spec: devices that a rule of their own lets the container use, as device
 * plugins name them, and bind mounts of a group's node. Those that came in by a wildcard ("privileged")
 * stay the host's.
 */
export function planDevices(spec: OciSpec): { devices: WantedDevice[]; spec: OciSpec } {
  const rules = spec.linux?.resources?.devices ?? [];
  const devices: WantedDevice[] = [];
  for (const { type, path, major, minor } of spec.linux?.devices ?? []) {
    if (type !== "c" || !GROUP_NODE.test(path)) continue;
    const node = { major: Number(major ?? 0), minor: Number(minor ?? 0) };
    const isMeant = rules.some(
      (rule) =>
        rule.allow &&
        Number(rule.major ?? -1) === node.major &&
        Number(rule.minor ?? -1) === node.minor,
    );
    if (isMeant) devices.push({ node, destination: path });
  }
  const mounts = spec.mounts?.filter((mount) => {
    const node = nodeOfMount(mount);
    if (node !== undefined) devices.push({ node, destination: mount.destination });
    return node === undefined;
  });
  return { devices, spec: { ...spec, ...(mounts && { mounts }) } };
}

function nodeOfMount(mount: OciMount): NodeNumbers | undefined {
  const { source = "" } = mount;
  if (!isBind(mount) || !GROUP_NODE.test(source)) return undefined;
  const status = statSync(source, { throwIfNoEntry: false });
  return status?.isCharacterDevice() ? numbersOf(status.rdev) : undefined;
}

/** The host's devices that are plugged into the guest for one container. */
export class AttachedDevices {
  readonly #pod: Pick<PodDevices, "attach" | "detach">;
  readonly #log: Logger;
  #all: PodDevice[] = [];

  constructor(pod: Pick<PodDevices, "attach" | "detach">, log: Logger) {
    this.#pod = pod;
    this.#log = log;
  }

  async attach(wanted: readonly WantedDevice[]): Promise<ContainerDevice[]> {
    const attached: ContainerDevice[] = [];
    for (const { node, destination } of wanted) {
      const devices = await this.#pod.attach(node);
      this.#all.push(...devices);
      attached.push(...devices.map((device) => ({ ...device, destination })));
    }
    return attached;
  }

  /** One that the guest does not let go of stays the pod's until it ends. */
  async detach(): Promise<void> {
    const devices = this.#all;
    this.#all = [];
    if (devices.length === 0) return;
    await this.#pod.detach(devices).catch((error: unknown) => {
      this.#log.warn("a device of the host's could not be unplugged", { error });
    });
  }
}
