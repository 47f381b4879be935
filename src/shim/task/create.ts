// SPDX-License-Identifier: Apache-2.0
import { podTypeOf } from "../../config/annotations/pod-type.ts";
import { MukonError } from "../../errors/mukon-error.ts";
import type { OciSpec } from "../../guest-protocol/oci-spec.ts";
import { readUserNetworkWish } from "../../host/network/user/wish-file.ts";
import { Steps } from "../../logging/steps.ts";
import { createdEvent } from "../events/task-events.ts";
import { ContainerHooks, unheardHooks } from "../hooks/container-hooks.ts";
import { hasConfiguration, type RuntimeOptions } from "../options.ts";
import { AttachedDisks, type ContainerDisk, type RootDisks } from "./attached-disks.ts";
import { hostnameOf, networkNamespaceOf, readBundleSpec, sizingOf } from "./bundle-spec.ts";
import type { Container } from "./container.ts";
import type { TaskContext } from "./context.ts";
import { planDisks, type WantedDisk } from "./disks.ts";
import type { Exits } from "./exits.ts";
import {
  AttachedDevices,
  type ContainerDevice,
  planDevices,
  type WantedDevice,
} from "./host-devices.ts";
import { type StreamPaths, TaskProcess } from "./process.ts";
import { planRootfs, type Rootfs, type TaskMount } from "./rootfs.ts";
import { ContainerShares } from "./shares.ts";
import { type OpenStreams, openStreams } from "./stdio.ts";
import type { TaskPod } from "./task-pod.ts";
import { VolumeCopies } from "./volume-copies.ts";
import {
  nameServerLines,
  planVolumes,
  sharedMemoryBytes,
  type VolumePlan,
  withoutShares,
} from "./volumes.ts";

export interface CreateRequest {
  id: string;
  bundle: string;
  rootfs: readonly TaskMount[];
  streams: StreamPaths;
  runtimeOptions: RuntimeOptions;
}

/** What the request comes to, before anything is done about it. */
interface Wanted extends CreateRequest {
  spec: OciSpec;
  hooks: ContainerHooks;
  rootfsPlan: Rootfs;
  volumes: VolumePlan;
  wantedDisks: WantedDisk[];
  wantedDevices: WantedDevice[];
  isSandbox: boolean;
}

/**
 * Makes a container, and for the first one of a pod the pod around it; nothing of it runs yet.
 * Whatever fails leaves nothing behind.
 */
export async function createContainer(
  context: TaskContext,
  exits: Exits,
  request: CreateRequest,
): Promise<Container> {
  const { containers } = context;
  containers.reserve(request.id);
  let streams: OpenStreams | undefined;
  try {
    const wanted = readRequest(context, request);
    // Before the VM boots: what a client has written, and gone, would be lost.
    streams = await openStreams(request.streams, {
      containerId: request.id,
      namespace: context.namespace,
    });
    const container = wanted.isSandbox
      ? await createWithPod(context, exits, { wanted, streams })
      : await createInPod(requirePod(context), context, { wanted, streams });
    context.publish(createdEvent(container, request.rootfs));
    return container;
  } catch (error) {
    void streams?.logProgram?.end();
    throw error;
  } finally {
    streams?.close();
    containers.free(request.id);
  }
}

function readRequest(context: TaskContext, request: CreateRequest): Wanted {
  const { spec: whole, devices: wantedDevices } = planDevices(readBundleSpec(request.bundle));
  const { spec, disks: wantedDisks } = planDisks(whole);
  const type = podTypeOf(spec.annotations ?? {});
  const isSandbox = type.type !== "container";
  if (isSandbox && (request.id !== context.id || context.pod !== undefined)) {
    throw new MukonError("TASK_EXISTS", `this shim has pod ${context.id} already`);
  }
  const rootfsPlan = planRootfs(request.rootfs, {
    directory: request.bundle,
    rootPath: spec.root?.path,
  });
  const { id, bundle: directory } = request;
  const hooks = new ContainerHooks({ id, bundle: directory, spec, log: context.log });
  const wanted = { spec, hooks, rootfsPlan, wantedDisks, wantedDevices, isSandbox };
  return { ...request, ...wanted, volumes: planVolumes(spec) };
}

function requirePod(context: TaskContext): TaskPod {
  const sandbox = context.containers.find(context.id);
  if (context.pod !== undefined && sandbox !== undefined && sandbox.init.exit === undefined) {
    return context.pod;
  }
  throw new MukonError("POD_NOT_RUNNING", `pod ${context.id} is not running`, {
    hint: "the pod has ended; its client must make a new one",
  });
}

interface Making {
  wanted: Wanted;
  streams: OpenStreams;
}

async function createWithPod(
  context: TaskContext,
  exits: Exits,
  making: Making,
): Promise<Container> {
  const { id, bundle, spec, hooks, runtimeOptions } = making.wanted;
  const pod = await context.createPod({
    id,
    namespace: context.namespace,
    bundle,
    socketPath: context.socketPath,
    ...(hasConfiguration(runtimeOptions) ? runtimeOptions : context.startOptions()),
    annotations: spec.annotations ?? {},
    sizing: sizingOf(spec),
    cgroupsPath: spec.linux?.cgroupsPath,
    hostname: hostnameOf(spec, id),
    sharedMemoryBytes: sharedMemoryBytes(spec),
    isSharing: mayShare(making.wanted),
    firstDisk: firstDiskOf(making.wanted),
    dns: nameServerLines(spec),
    networkNamespace: networkNamespaceOf(spec),
    hasHooks: hooks.areAny,
    userNetwork: readUserNetworkWish(bundle),
    isForwarding: podTypeOf(spec.annotations ?? {}).type === "sandbox",
    log: context.log,
    onEvent: (event) => exits.onEvent(event),
  });
  try {
    const container = await createInPod(pod, context, making);
    context.pod = pod;
    void pod.lost.then((error) => exits.onLost(error));
    return container;
  } catch (error) {
    await pod.destroy().catch((failure: unknown) => {
      context.log.error("a pod that failed is not cleaned up wholly", { error: failure });
    });
    await hooks.onDeleted();
    throw error;
  }
}

/** The upper layers are read sooner or later, some of them; the bottom one always. */
function firstDiskOf({ rootfsPlan }: Wanted): string | undefined {
  return rootfsPlan.kind === "disks" ? rootfsPlan.layers[0] : undefined;
}

/** Of later containers of a pod nothing is known yet. */
function mayShare({ rootfsPlan, volumes, spec }: Wanted): boolean {
  const isPod = podTypeOf(spec.annotations ?? {}).type === "sandbox";
  return isPod || !["disks", "disk"].includes(rootfsPlan.kind) || volumes.shares.length > 0;
}

async function createInPod(
  pod: TaskPod,
  context: TaskContext,
  { wanted, streams }: Making,
): Promise<Container> {
  const { id, bundle, spec, hooks, isSandbox } = wanted;
  const steps = new Steps("shim");
  const disks = new AttachedDisks(pod, context.log);
  const devices = new AttachedDevices(pod.devices, context.log);
  const volumes = new VolumeCopies(id, { keeper: pod.keeper, log: context.log });
  const shares = new ContainerShares(id, { shares: pod.shares, log: context.log });
  try {
    await steps.run("hooks", () => hooks.onCreate(pod.networkHolderPid));
    const parts = { wanted, volumes, shares, disks, devices, steps };
    const files = await provideFiles(pod, context, parts);
    await steps.run("create", () =>
      pod.keeper.createContainer(
        {
          containerId: id,
          spec: { ...spec },
          ...files,
          volumes: [...volumes.mounts, ...shares.mounts],
          stdio: streams.stdio,
          timeoutMs: pod.configuration.runtime.createContainerTimeout * 1000,
        },
        streams.descriptors,
      ),
    );
    context.log.info("container created", { containerId: id, steps: steps.all });
    const init = new TaskProcess({ containerId: id, execId: "", streams: wanted.streams });
    init.logTo(streams.logProgram);
    const isInputClosed = context.containers.isInputClosedEarly(id);
    const container: Container = {
      ...{ id, bundle, isSandbox, init, disks, devices, volumes, shares, hooks },
      execs: new Map(),
      pid: pidOf(pod, spec),
    };
    context.containers.add(container);
    void init.exited.then(() => {
      volumes.close();
      disks.close();
    });
    volumes.follow();
    disks.followSizes();
    if (isInputClosed) pod.keeper.closeStdin({ containerId: id }).catch(() => {});
    return container;
  } catch (error) {
    volumes.close();
    // With a sandbox, all of its pod goes.
    if (!isSandbox) {
      await volumes.remove();
      shares.remove();
      await disks.detach();
      await devices.detach();
      await hooks.onDeleted();
    }
    throw error;
  }
}

/**
 * A process in a guest has no pid on the host. Who asked for a new network namespace looks for it at
 * that of the pid; to all others the VMM stands for the container.
 */
function pidOf({ networkHolderPid, vmmPid }: TaskPod, spec: OciSpec): number {
  return networkNamespaceOf(spec) === "new" ? (networkHolderPid ?? vmmPid) : vmmPid;
}

function volumePlanFor(pod: TaskPod, { volumes }: Wanted): VolumePlan {
  const isOff = pod.configuration.hypervisor.qemu.sharedFs === "none";
  return isOff ? withoutShares(volumes) : volumes;
}

interface ContainerParts {
  wanted: Wanted;
  volumes: VolumeCopies;
  shares: ContainerShares;
  disks: AttachedDisks;
  devices: AttachedDevices;
  steps: Steps;
}

type ContainerFiles = RootDisks & {
  disks: ContainerDisk[];
  hostDevices: ContainerDevice[];
  sharedRootfs?: string;
};

/** Gives the guest all of the host's files that the container is to have. */
async function provideFiles(
  pod: TaskPod,
  context: TaskContext,
  { wanted, volumes, shares, disks, devices, steps }: ContainerParts,
): Promise<ContainerFiles> {
  const plan = volumePlanFor(pod, wanted);
  for (const warning of [...unheardHooks(wanted.spec), ...plan.warnings]) {
    context.log.warn(warning, { containerId: wanted.id });
  }
  await steps.run("volumes", () => volumes.copy(plan.copies));
  const sharedRootfs = await steps.run("shares", async () => {
    const rootfs = await shares.addRootfs(wanted.rootfsPlan);
    await shares.addVolumes(plan.shares);
    return rootfs;
  });
  if (sharedRootfs !== undefined || plan.shares.length > 0) pod.expectWrites();
  const attached = await steps.run("disks", async () => ({
    ...(await disks.attachRoot(wanted.rootfsPlan)),
    disks: await disks.attachVolumes(wanted.wantedDisks),
  }));
  // A disk may be among them.
  if (wanted.wantedDevices.length > 0) pod.expectWrites();
  const hostDevices = await steps.run("devices", () => devices.attach(wanted.wantedDevices));
  return { ...attached, hostDevices, ...(sharedRootfs === undefined ? {} : { sharedRootfs }) };
}
