// SPDX-License-Identifier: Apache-2.0
import { fstatSync } from "node:fs";
import { join } from "node:path";
import type { Configuration } from "../config/keys/registry.ts";
import { openForVmm } from "../host/assets.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import { qemuJail } from "../host/jail/program-jail.ts";
import type { Jail } from "../host/jail/types.ts";
import { kvmGroup, kvmNode, openKvmNode, statNode } from "../host/launcher/kvm-group.ts";
import type { ConfinedLaunch } from "../host/launcher/types.ts";
import { sealedFile } from "../linux/memory-file.ts";
import { runRoot } from "../linux/paths.ts";
import { type ProbeResult, probeAccelerator } from "../vmm/qemu/accelerator-probe.ts";
import { type KvmAccess, needsKvmGroup } from "../vmm/qemu/kvm-access.ts";
import type { Accelerator, QemuLaunchInput } from "../vmm/qemu/launch-input.ts";
import { mostVcpusOf, planQemuLaunch } from "../vmm/qemu/launch-plan.ts";
import { processorTable } from "../vmm/qemu/processor-table.ts";
import type { GuestFiles } from "./guest-files.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import { mostMemoryMib } from "./pod-memory.ts";
import { mostVcpus } from "./pod-size.ts";

type QemuSettings = Configuration["hypervisor"]["qemu"];

/** The VMM's ends of the sockets that lead to the keeper. */
export interface VmmSockets {
  qmp: number;
  agent: number;
  console: number;
}

/** What runs the guest's instructions; how QEMU gets at KVM is only said where that does it. */
export interface Virtualization {
  accelerator: Accelerator;
  kvmAccess?: KvmAccess | undefined;
}

export interface VmmRequest {
  name: string;
  settings: QemuSettings;
  files: GuestFiles;
  virtualization: Virtualization;
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
  { hypervisor, mukon }: Configuration,
  files: GuestFiles,
): Promise<ProbeResult> {
  const settings = hypervisor.qemu;
  if (settings.accelerator === "kvm") statNode(kvmNode());
  try {
    return await probeAccelerator({
      wanted: settings.accelerator,
      kvmAccess: mukon.kvmAccess,
      qemuPath: settings.path,
      kernelPath: files.kernelPath,
      initrdPath: files.initrdPath,
      cpuFeatures: settings.cpuFeatures,
      cachePath: join(runRoot(), "accelerator.json"),
      kvmPath: kvmNode(),
    });
  } catch (error) {
    // KVM was demanded. Where it takes the node's group, the error is about that.
    if (await needsKvmGroup(mukon.kvmAccess, settings.path)) kvmGroup();
    throw error;
  }
}

/**
 * How to start the VMM: as the pod's user, in no group but that of /dev/kvm if QEMU has to open it
 * itself, in a jail, with nothing but its descriptors.
 * @throws ASSET_INVALID, VMM_PLAN_INVALID, KVM_GROUP_ROOT and the other codes of the KVM node
 */
export function vmmLaunch(request: VmmRequest): ConfinedLaunch {
  const { settings, identity, virtualization } = request;
  const user = vmmUser(settings, identity);
  const open = (path: string): number =>
    request.descriptors.own(openForVmm(path, { gid: user.gid }));
  const files = {
    ...request.sockets,
    kernel: open(request.files.kernelPath),
    initrd: open(request.files.initrdPath),
    image: open(request.files.imagePath),
    memory: request.memory.descriptor,
    state: request.state ?? -1,
    kvm: isKvmGiven(virtualization) ? request.descriptors.own(openKvmNode()) : -1,
  };
  const machine = machineInput(settings, virtualization, fstatSync(files.image).size);
  const table = sealedFile(processorTable(mostVcpusOf(machine)), "processors");
  const slots = { ...files, processors: request.descriptors.own(table) };
  const plan = planQemuLaunch({
    ...machine,
    name: request.name,
    isClone: request.state !== undefined,
    memory: request.memory.kind,
  });
  return {
    role: "vmm",
    argv: plan.argv,
    uid: user.uid,
    gid: user.gid,
    groups: groupsFor(virtualization),
    jail: request.jail,
    stdio: ["ignore", "ignore", "pipe", ...plan.descriptors.map((slot) => slots[slot])],
    isRootAllowed: !settings.rootless,
  };
}

/** What the VMM sees of the host. */
export async function vmmJail(settings: QemuSettings, how: Virtualization): Promise<Jail> {
  return await qemuJail(settings.path, opensKvmNode(how) ? kvmNode() : undefined);
}

/** Whether the VMM opens `/dev/kvm` itself, by the node's group. */
export function opensKvmNode(how: Virtualization): boolean {
  return how.accelerator === "kvm" && !isKvmGiven(how);
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
  { accelerator, kvmAccess }: Virtualization,
  imageSizeBytes: number,
): QemuLaunchInput {
  return {
    qemuPath: settings.path,
    accelerator,
    kvmAccess,
    vcpus: settings.defaultVcpus,
    mostVcpus: mostVcpus(settings.defaultMaxvcpus),
    memoryMib: settings.defaultMemory,
    hotplugMemoryMib: mostMemoryMib(),
    imageSizeBytes,
    machineAccelerators: settings.machineAccelerators,
    cpuFeatures: settings.cpuFeatures,
    kernelParams: settings.kernelParams,
    isDebug: settings.enableDebug,
  };
}

function isKvmGiven({ accelerator, kvmAccess }: Virtualization): boolean {
  return accelerator === "kvm" && kvmAccess === "descriptor";
}

function groupsFor(how: Virtualization): number[] {
  if (how.accelerator === "tcg" || isKvmGiven(how)) return [];
  const { gid } = kvmGroup();
  return gid === undefined ? [] : [gid];
}
