// SPDX-License-Identifier: Apache-2.0
import { Socket } from "node:net";
import { applyAnnotations } from "../config/annotations/apply.ts";
import type { OciSizing } from "../config/annotations/sizing.ts";
import type { Configuration } from "../config/keys/registry.ts";
import { loadConfiguration } from "../config/load.ts";
import { acquireIdentity } from "../host/identity/acquire.ts";
import type { PodIdentity } from "../host/identity/types.ts";
import type { Journal } from "../host/journal/journal.ts";
import type { LaunchedProcess } from "../host/launcher/types.ts";
import { createRuntimeDirectory } from "../host/runtime-dir/runtime-dir.ts";
import { sandboxKey } from "../host/sandbox-key.ts";
import { type SandboxState, toProcessRecord, writeSandboxState } from "../host/sandbox-state.ts";
import { readStartTime } from "../linux/process-status.ts";
import type { Logger } from "../logging/logger.ts";
import type { ProbeResult } from "../vmm/qemu/accelerator-probe.ts";
import { type GuestFiles, guestFiles } from "./guest-files.ts";
import { keeperLaunch } from "./keeper.ts";
import { KeeperClient } from "./keeper-client.ts";
import { launchVerified } from "./launch-verified.ts";
import { Loss } from "./loss.ts";
import type { ExitedEvent, KeeperEvent, OomEvent } from "./messages/events.ts";
import { OwnedDescriptors } from "./owned-descriptors.ts";
import { Pod } from "./pod.ts";
import { openPodJournal, tearDownOwn } from "./pod-journal.ts";
import { makePodSockets, type PodSockets } from "./pod-sockets.ts";
import { Stages } from "./stages.ts";
import { chooseAccelerator, vmmLaunch } from "./vmm.ts";

export interface PodRequest {
  id: string;
  namespace: string;
  /** Directory of the bundle that the pod is made for. */
  bundle: string;
  /** Of the shim, which may outlive the pod. */
  socketPath: string;
  /** A configuration file that wins over all others. */
  configurationPath?: string | undefined;
  annotations: Readonly<Record<string, string>>;
  sizing: OciSizing;
  hostname: string;
  /** Lines of resolv.conf; none: the guest's own. */
  dns: readonly string[];
  log: Logger;
  /** Called when the sandbox has its directory. */
  onJournal?: () => void;
  onEvent: (event: ExitedEvent | OomEvent) => void;
}

/** What the steps have brought together so far. */
interface Draft {
  request: PodRequest;
  key: string;
  stages: Stages;
  configuration: Configuration;
  journal: Journal;
  descriptors: OwnedDescriptors;
}

interface Machine {
  vmm: LaunchedProcess;
  keeper: LaunchedProcess;
  sockets: PodSockets;
  state: SandboxState;
}

/**
 * Makes a pod: identity, runtime directory, a confined VMM and keeper, a guest that has booted, the
 * sandbox in it. When a step fails, all that went before is undone.
 * @throws MukonError whose message and details name the stage, with the console's last lines
 */
export async function createPod(request: PodRequest): Promise<Pod> {
  const stages = new Stages();
  const key = sandboxKey(request);
  const configuration = await stages.run("configuration", () => configure(request));
  const journal = await stages.run("journal", () => openPodJournal(key));
  request.onJournal?.();
  const descriptors = new OwnedDescriptors();
  const draft: Draft = { request, key, stages, configuration, journal, descriptors };
  try {
    const machine = await startMachine(draft);
    const pod = await bootGuest(draft, machine);
    request.log.info("pod started", { stages: stages.all });
    return pod;
  } catch (error) {
    descriptors.closeAll();
    journal.close();
    await tearDownOwn(key).catch((failure: unknown) => {
      request.log.error("a pod that did not start is not cleaned up wholly", { error: failure });
    });
    throw error;
  }
}

async function configure(request: PodRequest): Promise<Configuration> {
  const loaded = await loadConfiguration({ path: request.configurationPath });
  const applied = applyAnnotations(loaded, request.annotations, request.sizing);
  for (const warning of applied.warnings) request.log.warn(warning);
  return applied.configuration;
}

async function startMachine(draft: Draft): Promise<Machine> {
  const { stages, request } = draft;
  const settings = draft.configuration.hypervisor.qemu;
  const prepared = await both(
    stages.run("identity", () => prepareIdentity(draft)),
    stages.run("guest", async () => {
      const files = await guestFiles(settings);
      return { files, probe: await chooseAccelerator(settings, files) };
    }),
  );
  const [{ identity, runtimeDirectory }, { files, probe }] = prepared;
  request.log.info(`accelerator: ${probe.accelerator}`, { reason: probe.reason });
  const state = firstState(draft, { identity, runtimeDirectory, probe });
  writeSandboxState(draft.key, state);
  const sockets = makePodSockets(draft.descriptors);
  const [vmm, keeper] = await both(
    stages.run("launch-vmm", () => startVmm(draft, { identity, files, probe, sockets })),
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
  return { vmm, keeper, sockets, state };
}

/** Waits for both even if one fails: nothing may be acquired while all is being undone. */
async function both<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return await Promise.all([a, b]);
}

async function prepareIdentity(
  draft: Draft,
): Promise<{ identity: PodIdentity; runtimeDirectory: string }> {
  const { configuration, journal } = draft;
  const identity = await acquireIdentity({ config: configuration.mukon, journal });
  return { identity, runtimeDirectory: await createRuntimeDirectory(identity, journal) };
}

async function startVmm(
  draft: Draft,
  parts: { identity: PodIdentity; files: GuestFiles; probe: ProbeResult; sockets: PodSockets },
): Promise<LaunchedProcess> {
  const settings = draft.configuration.hypervisor.qemu;
  if (!settings.rootless) draft.request.log.warn("rootless is false: the VMM runs as root");
  const launch = vmmLaunch({
    name: draft.key.slice(0, 128),
    settings,
    files: parts.files,
    accelerator: parts.probe.accelerator,
    identity: parts.identity,
    sockets: parts.sockets.vmm,
    descriptors: draft.descriptors,
  });
  return await launchVerified(launch, { journal: draft.journal, seccomp: "filter" });
}

async function bootGuest(draft: Draft, machine: Machine): Promise<Pod> {
  const { request, stages, configuration, descriptors } = draft;
  const { control, descriptors: descriptorSocketFd } = machine.sockets.shim;
  descriptors.release(control);
  descriptors.release(descriptorSocketFd);
  // Ours are copies: while they are open, nobody sees that the other side has ended.
  descriptors.closeAll();
  const loss = new Loss();
  const keeper = new KeeperClient({
    control: new Socket({ fd: control }),
    descriptorSocketFd,
    onEvent: (event) => dispatch(event, { loss, request }),
  });
  loss.watch("VMM", machine.vmm);
  loss.watch("keeper", machine.keeper);
  void keeper.closed.then(({ violation }) => violation !== undefined && loss.report(violation));
  const { key, journal } = draft;
  const vmmPid = machine.vmm.pid;
  const pod = new Pod({ key, journal, configuration, vmmPid, keeper, descriptorSocketFd, loss });
  try {
    await stages.run("boot", async () => {
      const timeoutMs = configuration.agent.dialTimeout * 1000;
      stages.add((await unlessLost(keeper.boot({ timeoutMs }), loss)).stages);
    });
    const { id: sandboxId, hostname, dns } = request;
    await stages.run("sandbox", () =>
      unlessLost(keeper.prepareSandbox({ sandboxId, hostname, dns: [...dns] }), loss),
    );
    return pod;
  } catch (error) {
    await pod.destroy().catch(() => {});
    throw error;
  }
}

/** The keeper's own error says more (the console's last lines), so it gets a moment to come. */
async function unlessLost<Result>(work: Promise<Result>, loss: Loss): Promise<Result> {
  const lost = loss.happened.then(async (error) => {
    await new Promise((done) => setTimeout(done, 300));
    throw error;
  });
  lost.catch(() => {});
  return await Promise.race([work, lost]);
}

function dispatch(event: KeeperEvent, to: { loss: Loss; request: PodRequest }): void {
  if (event.event === "lost") to.loss.reportLost(event);
  else to.request.onEvent(event);
}

function firstState(
  draft: Draft,
  parts: { identity: PodIdentity; runtimeDirectory: string; probe: ProbeResult },
): SandboxState {
  const { request, configuration } = draft;
  const { identity, runtimeDirectory, probe } = parts;
  return {
    id: request.id,
    namespace: request.namespace,
    bundle: request.bundle,
    address: `unix://${request.socketPath}`,
    hypervisor: configuration.runtime.hypervisorName,
    accelerator: probe.accelerator,
    rootless: configuration.hypervisor.qemu.rootless,
    createdAt: new Date().toISOString(),
    identity,
    runtimeDirectory,
    processes: {
      shim: toProcessRecord({ pid: process.pid, startTime: readStartTime(process.pid) ?? 0n }),
    },
  };
}
