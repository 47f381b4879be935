// SPDX-License-Identifier: Apache-2.0
import type { Configuration } from "../config/keys/registry.ts";
import { acquireIdentity } from "../host/identity/acquire.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import type { Journal } from "../host/journal/journal.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";
import { createRuntimeDirectory } from "../host/runtime-dir/runtime-dir.ts";
import { type SandboxState, toProcessRecord, writeSandboxState } from "../host/sandbox-state.ts";
import { readStartTime } from "../linux/process-status.ts";
import type { Logger } from "../logging/logger.ts";
import type { ProbeResult } from "../vmm/qemu/accelerator-probe.ts";
import { type GuestFiles, guestFiles } from "./guest-files.ts";
import { keeperLaunch } from "./keeper.ts";
import { launchVerified } from "./launch-verified.ts";
import type { OwnedDescriptors } from "./owned-descriptors.ts";
import { makePodSockets, type PodSockets } from "./pod-sockets.ts";
import type { Stages } from "./stages.ts";
import type { MachineDescription } from "./template/inputs.ts";
import type { OpenTemplate } from "./template/store.ts";
import { chooseAccelerator, vmmLaunch } from "./vmm.ts";

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
  /** Finds what to clone the machine from; none: it is booted. */
  findTemplate?: (machine: MachineDescription) => OpenTemplate | undefined;
}

/** VMM and keeper, confined, of a machine that does not run yet. */
export interface Machine {
  vmm: LaunchedProcess;
  keeper: LaunchedProcess;
  sockets: PodSockets;
  description: MachineDescription;
  /** Key of the template that it is a clone of. */
  template: string | undefined;
}

/** Identity, runtime directory, a VMM and a keeper, each in the journal before it exists. */
export async function startMachine(draft: MachineDraft): Promise<Machine> {
  const { stages, descriptors } = draft;
  const settings = draft.configuration.hypervisor.qemu;
  const [{ identity, runtimeDirectory }, { files, probe }] = await both(
    stages.run("identity", () => prepareIdentity(draft)),
    stages.run("guest", async () => {
      const files = await guestFiles(settings);
      return { files, probe: await chooseAccelerator(settings, files) };
    }),
  );
  const isEmulated = probe.accelerator === "tcg";
  draft.log[isEmulated ? "warn" : "info"](`accelerator: ${probe.accelerator}`, {
    reason: probe.reason,
  });
  const description = { settings, files, accelerator: probe.accelerator };
  const template = draft.findTemplate?.(description);
  if (template !== undefined) descriptors.own(template.descriptor);
  const state = firstState(draft, { identity, runtimeDirectory, probe, template });
  writeSandboxState(draft.key, state);
  const sockets = makePodSockets(descriptors);
  const [vmm, keeper] = await both(
    stages.run("launch-vmm", () => startVmm(draft, { identity, files, probe, sockets, template })),
    stages.run("launch-keeper", async () =>
      launchVerified(await keeperLaunch(identity, sockets.keeper), {
        journal: draft.journal,
        seccomp: "any",
      }),
    ),
  );
  const processes = {
    ...state.processes,
    vmm: toProcessRecord(vmm),
    keeper: toProcessRecord(keeper),
  };
  writeSandboxState(draft.key, { ...state, processes });
  return { vmm, keeper, sockets, description, template: template?.key };
}

/** Waits for both even if one fails: nothing may be acquired while all is being undone. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return await Promise.all([a, b]);
}

async function prepareIdentity(
  draft: MachineDraft,
): Promise<{ identity: PodIdentity; runtimeDirectory: string }> {
  const { configuration, journal } = draft;
  const identity = await acquireIdentity({ config: configuration.mukon, journal });
  return { identity, runtimeDirectory: await createRuntimeDirectory(identity, journal) };
}

interface VmmParts {
  identity: PodIdentity;
  files: GuestFiles;
  probe: ProbeResult;
  sockets: PodSockets;
  template: OpenTemplate | undefined;
}

async function startVmm(draft: MachineDraft, parts: VmmParts): Promise<LaunchedProcess> {
  const settings = draft.configuration.hypervisor.qemu;
  if (!settings.rootless) draft.log.warn("rootless is false: the VMM runs as root");
  const launch = vmmLaunch({
    name: draft.key.slice(0, 128),
    settings,
    files: parts.files,
    accelerator: parts.probe.accelerator,
    identity: parts.identity,
    sockets: parts.sockets.vmm,
    state: parts.template?.descriptor,
    descriptors: draft.descriptors,
  });
  return await launchVerified(launch, { journal: draft.journal, seccomp: "filter" });
}

function firstState(
  draft: MachineDraft,
  parts: {
    identity: PodIdentity;
    runtimeDirectory: string;
    probe: ProbeResult;
    template: OpenTemplate | undefined;
  },
): SandboxState {
  const { about, configuration } = draft;
  const { identity, runtimeDirectory, probe, template } = parts;
  return {
    ...about,
    hypervisor: configuration.runtime.hypervisorName,
    accelerator: probe.accelerator,
    rootless: configuration.hypervisor.qemu.rootless,
    ...(template === undefined ? {} : { template: template.key }),
    createdAt: new Date().toISOString(),
    identity,
    runtimeDirectory,
    processes: {
      shim: toProcessRecord({ pid: process.pid, startTime: readStartTime(process.pid) ?? 0n }),
    },
  };
}
