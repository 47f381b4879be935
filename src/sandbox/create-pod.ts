// SPDX-License-Identifier: Apache-2.0
import { applyAnnotations } from "../config/annotations/apply.ts";
import type { OciSizing } from "../config/annotations/sizing.ts";
import { loadConfiguration } from "../config/load.ts";
import type { LoadedConfiguration } from "../config/origin.ts";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import { podCgroupPath } from "../host/cgroups/path.ts";
import { PodCgroup } from "../host/cgroups/pod-cgroup.ts";
import type { Journal } from "../host/journal/journal.ts";
import type { UserNetworkWish } from "../host/network/user/published-port.ts";
import { sandboxKey } from "../host/sandbox-key.ts";
import type { Logger } from "../logging/logger.ts";
import { adoptMachine, bootWithNetwork, type GuestListener, unlessLost } from "./boot-guest.ts";
import { all, type Machine, type MachineDraft, startMachine } from "./machine.ts";
import {
  connectNetwork,
  forwardLoopback,
  type NetworkRequest,
  type PodNetwork,
  plugNetwork,
} from "./network.ts";
import { OwnedDescriptors } from "./owned-descriptors.ts";
import type { Pod } from "./pod.ts";
import { killOwn, openPodJournal, tearDownOwn } from "./pod-journal.ts";
import { divideSize, type Growth } from "./pod-size.ts";
import { Stages } from "./stages.ts";
import { noteFailure } from "./template/failures.ts";
import { findTemplate } from "./template/find.ts";
import { type MachineDescription, mayUseTemplate } from "./template/inputs.ts";
import { removeTemplate } from "./template/store.ts";
import { suspectTemplate } from "./template/suspect.ts";
import {
  planUserNetwork,
  plugUserNetwork,
  type UserNetwork,
  type UserNetworkPlan,
} from "./user-network.ts";

export interface PodRequest {
  id: string;
  namespace: string;
  /** Directory of the bundle that the pod is made for. */
  bundle: string;
  /** Of the shim, which may outlive the pod. */
  socketPath: string;
  /** A configuration file that wins over all others. */
  configurationPath?: string | undefined;
  /** The configuration itself, where no file is named. */
  configurationText?: string | undefined;
  annotations: Readonly<Record<string, string>>;
  sizing: OciSizing;
  /** `linux.cgroupsPath` of the pod's first container: where its processes belong on the host. */
  cgroupsPath?: string | undefined;
  hostname: string;
  /** Of its /dev/shm; none: 64 MiB. */
  sharedMemoryBytes?: number | undefined;
  /** A container of it needs virtio-fs, or may later. */
  isSharing?: boolean;
  /** An image that the pod's first container reads from; it is there sooner than by {@link Pod.attachDisk}. */
  firstDisk?: string | undefined;
  /** Lines of resolv.conf; none: the guest's own. */
  dns: readonly string[];
  /**
   * The network namespace that the pod is to be seen in: its path, or a new one, which the client fills
   * before the first container is started; none: it has no network.
   */
  networkNamespace?: { path: string } | "new" | undefined;
  /** Programs of the client's may look for a network namespace by a pid; it must not be the VMM's. */
  hasHooks?: boolean;
  /** It has a network in user mode instead, with what of the host's leads to it. */
  userNetwork?: UserNetworkWish | undefined;
  /** Connections to the loopback of that namespace go to the guest's, as CRI's port-forward wants it. */
  isForwarding?: boolean;
  log: Logger;
  /** The pod is not wanted any more: it acquires nothing from then on, and what it has is given back. */
  unwanted?: AbortSignal;
  /** Called when the sandbox has its directory, which may be more than once. */
  onJournal?: () => void;
  /** Called when the pod runs, and the next one like it could be a clone if there were a template. */
  onTemplateMissing?: (machine: MachineDescription) => void;
  onEvent: GuestListener;
}

/** One try to make a pod. */
interface Attempt {
  request: PodRequest;
  key: string;
  stages: Stages;
  loaded: LoadedConfiguration;
  growth: Growth;
  mayClone: boolean;
}

/**
 * Makes a pod: identity, runtime directory, a confined VMM and keeper, a guest that has booted or is
 * the clone of one that has, the sandbox in it. When a step fails, all that went before is undone.
 * A clone that does not come up is made up for, once, by a guest that boots.
 * @throws MukonError whose message and details name the stage, with the console's last lines
 */
export async function createPod(request: PodRequest): Promise<Pod> {
  const stages = new Stages();
  const key = sandboxKey(request);
  const { applied: loaded, growth } = await stages.run("configuration", () => configure(request));
  const mayClone = mayUseTemplate(loaded);
  const attempt: Attempt = { request, key, stages, loaded, growth, mayClone };
  try {
    return await tryPod(attempt);
  } catch (error) {
    if (!(error instanceof FailedClone)) throw error;
    return await bootInstead(attempt, error);
  }
}

/** The template is to blame only if the guest boots: where even that fails, it is something else. */
async function bootInstead(attempt: Attempt, { template, cause }: FailedClone): Promise<Pod> {
  const { log } = attempt.request;
  const second = { ...attempt, stages: new Stages(), mayClone: false };
  const pod = await tryPod(second, () => {
    log.warn("the template was of no use; the guest is booted instead", { template, error: cause });
  });
  log.warn("the guest has booted, so the template is to blame, and is dropped", { template });
  removeTemplate(template);
  noteFailure(template, asMukonError(cause).message);
  return pod;
}

/** Why a clone did not come up, when nobody else has ended it; a guest that boots may. */
class FailedClone extends MukonError {
  readonly template: string;

  constructor(template: string, cause: unknown) {
    super("CLONE_FAILED", `The template ${template} did not become a pod.`, { cause });
    this.template = template;
  }
}

async function configure(request: PodRequest): Promise<ReturnType<typeof divideSize>> {
  const loaded = await loadConfiguration({
    path: request.configurationPath,
    text: request.configurationText,
  });
  const applied = applyAnnotations(loaded, request.annotations, request.sizing);
  for (const warning of applied.warnings) request.log.warn(warning);
  return divideSize(loaded, applied);
}

async function tryPod(attempt: Attempt, onBegun: () => void = () => {}): Promise<Pod> {
  const { request, stages, mayClone, loaded } = attempt;
  const draft = await beginDraft(attempt);
  onBegun();
  // Not the draft's: those are closed before the guest boots.
  const taps = new OwnedDescriptors();
  let mayBlameTemplate = true;
  let machine: Machine | undefined;
  let adopted: ReturnType<typeof adoptMachine> | undefined;
  try {
    const [started, network, plan] = await all<[Machine, Network, UserNetworkPlan | undefined]>(
      startMachine(draft),
      stages.run("network", () => connectNetwork(draft, networkOf(request), taps)),
      planUserNetwork(draft, request.userNetwork),
    );
    machine = started;
    adopted = adoptMachine(draft, machine, request.onEvent);
    const user = await bootWithNetwork(draft, { machine, adopted, plan, descriptors: taps });
    await prepareSandbox(attempt, adopted);
    mayBlameTemplate = false;
    await plugCards(draft, adopted, { network, user });
  } catch (error) {
    const suspect = mayBlameTemplate && (await suspectTemplate(draft.template, machine, error));
    const isOurs = await undo(draft, adopted?.pod);
    if (typeof suspect === "string" && isOurs) throw new FailedClone(suspect, error);
    throw error;
  } finally {
    taps.closeAll();
  }
  const { template, description } = machine;
  request.log.info("pod started", { stages: stages.all, template });
  const isMissed = mayClone && template === undefined && loaded.configuration.mukon.buildTemplates;
  // Whoever makes one would have to be told the text.
  if (isMissed && request.configurationText === undefined) request.onTemplateMissing?.(description);
  return adopted.pod;
}

async function beginDraft(attempt: Attempt): Promise<MachineDraft> {
  const { request, key, stages, loaded, growth, mayClone } = attempt;
  const { id, namespace, bundle, socketPath, log } = request;
  const cgroupPath = podCgroupPath(request.cgroupsPath ?? "");
  const journal = await stages.run("journal", () => openPodJournal(key));
  giveUpWhenUnwanted(request, journal);
  request.onJournal?.();
  const cgroup =
    cgroupPath === undefined ? undefined : PodCgroup.make({ path: cgroupPath, journal, log });
  return {
    ...{ key, journal, stages, log, cgroup, growth },
    configuration: loaded.configuration,
    descriptors: new OwnedDescriptors(),
    isSharing: request.isSharing ?? false,
    bay: request.firstDisk === undefined ? undefined : { path: request.firstDisk },
    isNetworkHeld: isNetworkHeld(attempt),
    about: { id, namespace, bundle, address: `unix://${socketPath}` },
    ...(mayClone ? { findTemplate: (machine) => findTemplate(machine, log) } : {}),
  };
}

/** Each step of a start asks the journal first; those that wait for a process see it killed. */
function giveUpWhenUnwanted({ unwanted, log }: PodRequest, journal: Journal): void {
  const giveUp = (): void => {
    journal.close();
    void killOwn(journal.key).catch((error: unknown) =>
      log.error("a pod that is not wanted any more has processes", { error }),
    );
  };
  if (unwanted?.aborted === true) giveUp();
  else unwanted?.addEventListener("abort", giveUp, { once: true });
}

async function prepareSandbox(
  { request, stages }: Attempt,
  { pod, loss }: ReturnType<typeof adoptMachine>,
): Promise<void> {
  const { id: sandboxId, hostname, sharedMemoryBytes } = request;
  const params = {
    sandboxId,
    hostname,
    dns: [...request.dns],
    ...(sharedMemoryBytes === undefined ? {} : { sharedMemoryBytes }),
  };
  await stages.run("sandbox", async () => {
    stages.add((await unlessLost(pod.keeper.prepareSandbox(params), loss)).stages);
  });
}

type Network = PodNetwork | undefined;

async function plugCards(
  draft: MachineDraft,
  { pod, loss }: ReturnType<typeof adoptMachine>,
  { network, user }: { network: PodNetwork | undefined; user: UserNetwork | undefined },
): Promise<void> {
  if (network === undefined && user === undefined) return;
  const plug = async (): Promise<void> => {
    if (user !== undefined) await plugUserNetwork(draft.key, user, pod.keeper);
    if (network === undefined) return;
    await plugNetwork(draft.key, network, pod.keeper);
    await forwardLoopback(network, pod.keeper, (descriptor) => pod.hold(descriptor));
  };
  await draft.stages.run("cards", () => unlessLost(plug(), loss));
}

function networkOf({ networkNamespace, isForwarding = false }: PodRequest): NetworkRequest {
  const path = typeof networkNamespace === "object" ? networkNamespace.path : undefined;
  return { path, isForwarding };
}

/** Never the VMM's own: what somebody puts there, a captured VMM has. */
function isNetworkHeld({ request, loaded }: Attempt): boolean {
  const isOff = loaded.configuration.runtime.internetworkingModel === "none";
  return request.hasHooks === true || (request.networkNamespace === "new" && !isOff);
}

/** False: somebody else has cleaned up, who does not want this pod; or it could not be done. */
async function undo(draft: MachineDraft, pod: Pod | undefined): Promise<boolean> {
  try {
    if (pod !== undefined) return await pod.destroy();
    draft.descriptors.closeAll();
    draft.journal.close();
    return await tearDownOwn(draft.key);
  } catch (failure) {
    draft.log.error("a pod that did not start is not cleaned up wholly", { error: failure });
    return false;
  }
}
