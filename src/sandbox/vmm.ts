// SPDX-License-Identifier: Apache-2.0
import { fstatSync } from "node:fs";
import { join } from "node:path";
import type { Configuration } from "../config/keys/registry.ts";
import { openForVmm } from "../host/assets.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import { qemuJail } from "../host/jail/program-jail.ts";
import type { Jail } from "../host/jail/types.ts";
import { kvmGroup, kvmNode } from "../host/launcher/kvm-group.ts";
import type { ConfinedLaunch } from "../host/launcher/types.ts";
import { runRoot } from "../linux/paths.ts";
import { type ProbeResult, probeAccelerator } from "../vmm/qemu/accelerator-probe.ts";
import type { Accelerator, QemuLaunchInput } from "../vmm/qemu/launch-input.ts";
import { planQemuLaunch } from "../vmm/qemu/launch-plan.ts";
import type { GuestFiles } from "./guest-files.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import { mostMemoryMib } from "./pod-memory.ts";

type QemuSettings = Configuration["hypervisor"]["qemu"];

/** The VMM's ends of the sockets that lead to the keeper. */
export interface VmmSockets {
  qmp: number;
  agent: number;
  console: number;
}

export interface VmmRequest {
  name: string;
  settings: QemuSettings;
  files: GuestFiles;
  accelerator: Accelerator;
  identity: PodIdentity;
  jail: Jail;
  sockets: VmmSockets;
  memory: Pick<GuestMemory, "kind" | "descriptor">;
  /** The state of a template, open for reading: the VMM is filled from it rather than booted. */
  state?: number | undefined;
  /** Takes over the descriptors of the guest's files; close them all after the launch. */
  descriptors: OwnedDescriptors;
}

/**
 * Which accelerator the pod's VMM will use, and why.
 * @throws ACCELERATOR_UNAVAILABLE, KVM_GROUP_ROOT and the other codes of the KVM node
 */
export async function chooseAccelerator(
  settings: QemuSettings,
  files: GuestFiles,
): Promise<ProbeResult> {
  // Where KVM is demanded, the error is about the node that it fails for.
  if (settings.accelerator === "kvm") kvmGroup();
  return await probeAccelerator({
    wanted: settings.accelerator,
    qemuPath: settings.path,
    kernelPath: files.kernelPath,
    initrdPath: files.initrdPath,
    cpuFeatures: settings.cpuFeatures,
    cachePath: join(runRoot(), "accelerator.json"),
    kvmPath: kvmNode(),
  });
}

/**
 * How to start the VMM: as the pod's user, in the group of /dev/kvm if it is used, in a jail, with
 * nothing but its descriptors.
 * @throws ASSET_INVALID, VMM_PLAN_INVALID, KVM_GROUP_ROOT and the other codes of the KVM node
 */
export function vmmLaunch(request: VmmRequest): ConfinedLaunch {
  const { settings, identity } = request;
  const user = vmmUser(settings, identity);
  const open = (path: string): number =>
    request.descriptors.own(openForVmm(path, { gid: user.gid }));
  const slots = {
    ...request.sockets,
    kernel: open(request.files.kernelPath),
    initrd: open(request.files.initrdPath),
    image: open(request.files.imagePath),
    memory: request.memory.descriptor,
    state: request.state ?? -1,
  };
  const plan = planQemuLaunch({
    ...machineInput(settings, request.accelerator, fstatSync(slots.image).size),
    name: request.name,
    isClone: request.state !== undefined,
    memory: request.memory.kind,
  });
  return {
    role: "vmm",
    argv: plan.argv,
    uid: user.uid,
    gid: user.gid,
    groups: groupsFor(request.accelerator),
    jail: request.jail,
    stdio: ["ignore", "ignore", "pipe", ...plan.descriptors.map((slot) => slots[slot])],
    isRootAllowed: !settings.rootless,
  };
}

/** What the VMM sees of the host. */
export async function vmmJail(settings: QemuSettings, accelerator: Accelerator): Promise<Jail> {
  return await qemuJail(settings.path, accelerator === "kvm" ? kvmNode() : undefined);
}

/** Whom the VMM runs as. */
export function vmmUser(
  settings: QemuSettings,
  identity: PodIdentity,
): { uid: number; gid: number } {
  return settings.rootless ? identity.vmm : { uid: 0, gid: 0 };
}

/** The machine as the settings want it: what pods from the same template have in common. */
export function machineInput(
  settings: QemuSettings,
  accelerator: Accelerator,
  imageSizeBytes: number,
): QemuLaunchInput {
  return {
    qemuPath: settings.path,
    accelerator,
    vcpus: settings.defaultVcpus,
    memoryMib: settings.defaultMemory,
    hotplugMemoryMib: mostMemoryMib(),
    imageSizeBytes,
    machineAccelerators: settings.machineAccelerators,
    cpuFeatures: settings.cpuFeatures,
    kernelParams: settings.kernelParams,
    isDebug: settings.enableDebug,
  };
}

function groupsFor(accelerator: Accelerator): number[] {
  if (accelerator === "tcg") return [];
  const { gid } = kvmGroup();
  return gid === undefined ? [] : [gid];
}
