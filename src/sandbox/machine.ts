// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "../config/keys/registry.ts";
import { numbersOf } from "../host/block-device.ts";
import type { PodCgroup } from "../host/cgroups/pod-cgroup.ts";
import { acquireIdentity } from "../host/identity/acquire.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import type { Journal } from "../host/journal/journal.ts";
import { kvmNode, statNode } from "../host/launcher/kvm-group.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";
import { createRuntimeDirectory } from "../host/runtime-dir/runtime-dir.ts";
import { type SandboxState, toProcessRecord, writeSandboxState } from "../host/sandbox-state.ts";
import { readStartTime } from "../linux/process-status.ts";
import type { Logger } from "../logging/logger.ts";
import type { ProbeResult } from "../vmm/qemu/accelerator-probe.ts";
import type { BayContent } from "./bay-content.ts";
import { type GuestFiles, guestFiles } from "./guest-files.ts";
import { type GuestMemory, guestMemory, keepReadable } from "./guest-memory.ts";
import { keeperLaunch } from "./keeper.ts";
import { launchVerified } from "./launch-verified.ts";
import { networkHolderLaunch } from "./network-holder.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import type { Growth } from "./pod-size.ts";
import { makePodSockets, type PodSockets } from "./pod-sockets.ts";
import type { Stages } from "./stages.ts";
import type { MachineDescription } from "./template/inputs.ts";
import { type TemplateMemory, templateMemory } from "./template/sharing.ts";
import { type OpenTemplate, openedBy } from "./template/store.ts";
import { chooseAccelerator, opensKvmNode, vmmJail, vmmLaunch, vmmUser } from "./vmm.ts";

/** A machine that is being made, and what its steps have brought together so far. */
export interface MachineDraft {
  key: string;
  configuration: Configuration;
  journal: Journal;
  descriptors: OwnedDescriptors;
  stages: Stages;
  log: Logger;
  /** What `inspect` and `audit` are told of it. */
  about: Pick<SandboxState, "id" | "namespace" | "bundle"> & { address?: string };
  /** On the host, of this machine's processes. */
  cgroup?: PodCgroup | undefined;
  /** Files may be shared with its guest: the memory must be its own, which virtiofsd is given. */
  isSharing?: boolean;
  /** It has a network namespace that others are to find, and change, by a process in it. */
  isNetworkHeld?: boolean;
  /** What the guest gets once it runs; none: it has all. */
  growth?: Growth;
  /** What is in the machine's bay when it begins to run: see {@link BayContent}. */
  bay?: BayContent | undefined;
  /** Finds what to clone the machine from; none: it is booted. */
  findTemplate?: (machine: MachineDescription) => OpenTemplate | undefined;
  /** Key of the template that was found. */
  template?: string;
  /** The guest's memory outlives its VMM: see {@link Machine.memory}. */
  keepsMemory?: true;
}

/** VMM and keeper, confined, of a machine that does not run yet. */
export interface Machine {
  vmm: LaunchedProcess;
  keeper: LaunchedProcess;
  /** Keeps the network namespace that others find by its pid. */
  networkHolder: LaunchedProcess | undefined;
  sockets: PodSockets;
  identity: PodIdentity;
  /** It can be given to virtiofsd. */
  isMemoryShareable: boolean;
  description: MachineDescription;
  /** Key of the template that it is a clone of. */
  template: string | undefined;
  /** The guest's memory for reading, where that was asked for; the caller's to close. */
  memory: number | undefined;
}

/** Identity, runtime directory, a VMM and a keeper, each in the journal before it exists. */
export async function startMachine(draft: MachineDraft): Promise<Machine> {
  const { stages, descriptors } = draft;
  const settings = draft.configuration.hypervisor.qemu;
  const [{ identity, runtimeDirectory }, { files, probe }] = await all(
    stages.run("identity", () => prepareIdentity(draft)),
    stages.run("guest", async () => {
      const files = await guestFiles(settings);
      return { files, probe: await chooseAccelerator(draft.configuration, files) };
    }),
  );
  const isEmulated = probe.accelerator === "tcg";
  draft.log[isEmulated ? "warn" : "info"](`accelerator: ${probe.accelerator}`, {
    reason: probe.reason,
  });
  const { accelerator, kvmAccess } = probe;
  const description = { settings, files, accelerator, kvmAccess };
  const template = cloneOf(draft, description);
  if (template !== undefined) for (const one of openedBy(template)) descriptors.own(one);
  const state = firstState(draft, { identity, runtimeDirectory, probe, template });
  writeSandboxState(draft.key, state);
  const sockets = makePodSockets(descriptors);
  const memory = guestMemory({
    memoryMib: settings.defaultMemory,
    isHuge: settings.enableHugepages,
    owner: vmmUser(settings, identity),
    ...{ template, descriptors },
  });
  const parts = { identity, files, probe, sockets, memory, template };
  const [vmm, keeper, networkHolder] = await all(
    stages.run("launch-vmm", () => startVmm(draft, parts)),
    stages.run("launch-keeper", async () =>
      launchVerified(await keeperLaunch(identity, sockets.keeper), {
        journal: draft.journal,
        seccomp: "filter",
        cgroup: helpersCgroup(draft),
      }),
    ),
    startNetworkHolder(draft, identity),
    stages.run("memory", () => memory.filled),
  );
  const processes = {
    ...state.processes,
    vmm: toProcessRecord(vmm),
    keeper: toProcessRecord(keeper),
    ...(networkHolder && { network: toProcessRecord(networkHolder) }),
  };
  writeSandboxState(draft.key, { ...state, processes });
  return {
    ...{ vmm, keeper, networkHolder, sockets, identity, description, template: template?.key },
    isMemoryShareable: memory.kind === "own",
    memory: draft.keepsMemory === true ? keepReadable(memory) : undefined,
  };
}

/** Where the processes beside the VMM belong, on the host. */
export function helpersCgroup({ configuration, cgroup }: MachineDraft): PodCgroup | undefined {
  return configuration.runtime.sandboxCgroupOnly ? cgroup : undefined;
}

function cloneOf(draft: MachineDraft, description: MachineDescription): Clone | undefined {
  const template = draft.findTemplate?.(description);
  if (template === undefined) return undefined;
  draft.template = template.key;
  const memoryMode =
    draft.isSharing === true
      ? "copied"
      : templateMemory(draft.configuration, template.manifest.qemuVersion);
  return { ...template, memoryMode };
}

/** Waits for all even if one fails: nothing may be acquired while all is being undone. */
export async function all<Results extends unknown[]>(
  ...works: { [Index in keyof Results]: Promise<Results[Index]> }
): Promise<Results> {
  await Promise.allSettled(works);
  return (await Promise.all(works)) as Results;
}

async function prepareIdentity(
  draft: MachineDraft,
): Promise<{ identity: PodIdentity; runtimeDirectory: string }> {
  const { configuration, journal } = draft;
  const identity = await acquireIdentity({ config: configuration.mukon, journal });
  return { identity, runtimeDirectory: await createRuntimeDirectory(identity, journal) };
}

type Clone = OpenTemplate & { memoryMode: TemplateMemory };

interface VmmParts {
  identity: PodIdentity;
  files: GuestFiles;
  probe: ProbeResult;
  sockets: PodSockets;
  memory: GuestMemory;
  template: Clone | undefined;
}

async function startVmm(draft: MachineDraft, parts: VmmParts): Promise<LaunchedProcess> {
  const settings = draft.configuration.hypervisor.qemu;
  if (!settings.rootless) draft.log.warn("rootless is false: the VMM runs as root");
  const launch = vmmLaunch({
    name: draft.key.slice(0, 128),
    settings,
    files: parts.files,
    virtualization: parts.probe,
    identity: parts.identity,
    jail: await vmmJail(settings, parts.probe),
    sockets: parts.sockets.vmm,
    memory: parts.memory,
    state: parts.template?.state,
    descriptors: draft.descriptors,
  });
  const { journal, cgroup } = draft;
  if (opensKvmNode(parts.probe)) {
    cgroup?.allowDevices("kvm", [numbersOf(statNode(kvmNode()).rdev)]);
  }
  return await launchVerified(launch, { journal, seccomp: "filter", cgroup });
}

async function startNetworkHolder(
  draft: MachineDraft,
  identity: PodIdentity,
): Promise<LaunchedProcess | undefined> {
  if (draft.isNetworkHeld !== true) return undefined;
  const { journal } = draft;
  const cgroup = helpersCgroup(draft);
  return await draft.stages.run("launch-network", async () =>
    launchVerified(await networkHolderLaunch(identity), { journal, seccomp: "any", cgroup }),
  );
}

function firstState(
  draft: MachineDraft,
  parts: {
    identity: PodIdentity;
    runtimeDirectory: string;
    probe: ProbeResult;
    template: Clone | undefined;
  },
): SandboxState {
  const { about, configuration } = draft;
  const { identity, runtimeDirectory, probe, template } = parts;
  return {
    ...about,
    hypervisor: configuration.runtime.hypervisorName,
    accelerator: probe.accelerator,
    ...(probe.kvmAccess && { kvmAccess: probe.kvmAccess }),
    acceleratorReason: probe.reason,
    rootless: configuration.hypervisor.qemu.rootless,
    ...(template && { template: template.key, templateMemory: template.memoryMode }),
    createdAt: new Date().toISOString(),
    identity,
    runtimeDirectory,
    processes: {
      shim: toProcessRecord({ pid: process.pid, startTime: readStartTime(process.pid) ?? 0n }),
    },
  };
}
