// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { toAgentProcess } from "../../guest-protocol/agent-process.ts";
import { toAgentResources } from "../../guest-protocol/agent-resources.ts";
import { toAgentSpec } from "../../guest-protocol/agent-spec.ts";
import { diskParts } from "../../guest-protocol/disks.ts";
import { hostDeviceParts } from "../../guest-protocol/host-devices.ts";
import { parseOciProcess, parseOciResources, parseOciSpec } from "../../guest-protocol/oci-spec.ts";
import {
  type RootfsStorages,
  rootDiskStorages,
  rootfsStorages,
} from "../../guest-protocol/rootfs.ts";
import { sharedFsStorage, sharedPath, volumePath } from "../../guest-protocol/volumes.ts";
import type { MethodParams, Stdio } from "../../sandbox/messages/methods.ts";
import type { Handlers } from "../control/handlers.ts";
import { asking, askingToRun } from "../guest/guest-error.ts";
import { toStats } from "../guest/statistics.ts";
import { GuestProcess } from "../process/guest-process.ts";
import { closeAll, sortDescriptors } from "../process/process-stdio.ts";
import type { KeeperContext } from "./context.ts";

type ContainerHandlers = Pick<
  Handlers,
  | "createContainer"
  | "startContainer"
  | "exec"
  | "startExec"
  | "pause"
  | "resume"
  | "update"
  | "stats"
  | "removeContainer"
  | "removeExec"
>;

/** Requests about containers and execs. */
export function containerRequests(context: KeeperContext): ContainerHandlers {
  const { containers } = context;
  const { agent } = context.guest;
  let execCount = 0;
  return {
    createContainer: async (params, descriptors) => {
      await createContainer(context, params, descriptors);
      return {};
    },
    startContainer: async ({ containerId }) => {
      const { init } = containers.get(containerId);
      checkWaiting(init);
      await askingToRun("start the container", agent.call("startContainer", { containerId }));
      init.follow();
      return {};
    },
    exec: async ({ containerId, execId, process, stdio }, descriptors) => {
      // The shim may use an id again; the agent must not see the same one twice.
      const address = { containerId, execId: `exec-${++execCount}` };
      const guestProcess = openProcess(context, { address, execId, stdio }, descriptors);
      try {
        const definition = { ...parseOciProcess(process), terminal: stdio.terminal };
        containers.addExec(containerId, execId, { process: guestProcess, definition });
      } catch (error) {
        guestProcess.dispose();
        throw error;
      }
      return {};
    },
    startExec: async ({ containerId, execId }) => {
      const { process, definition } = containers.getExec(containerId, execId);
      checkWaiting(process);
      const call = agent.call("execProcess", {
        ...process.address,
        process: toAgentProcess(definition),
      });
      const namesUser = (definition.user?.username ?? "") !== "";
      try {
        await askingToRun("start the process", call, { namesUser });
      } catch (error) {
        // Its streams end now: clients wait for that before they say what went wrong.
        process.dispose();
        throw error;
      }
      process.follow();
      return {};
    },
    pause: async (params) => {
      await asking("pause the container", agent.call("pauseContainer", params));
      return {};
    },
    resume: async (params) => {
      await asking("resume the container", agent.call("resumeContainer", params));
      return {};
    },
    update: async ({ containerId, resources }) => {
      const request = { containerId, resources: toAgentResources(parseOciResources(resources)) };
      await asking("update the container", agent.call("updateContainer", request));
      return {};
    },
    stats: async (params) =>
      toStats(await asking("tell what it uses", agent.call("statsContainer", params))),
    removeContainer: async ({ containerId }) => {
      containers.get(containerId);
      const request = { containerId, timeout: 0 };
      await asking("remove the container", agent.call("removeContainer", request));
      containers.remove(containerId);
      return {};
    },
    removeExec: async ({ containerId, execId }) => {
      containers.removeExec(containerId, execId);
      return {};
    },
  };
}

async function createContainer(
  context: KeeperContext,
  params: Parameters<Handlers["createContainer"]>[0],
  descriptors: readonly number[],
): Promise<void> {
  const { containerId, stdio, timeoutMs, volumes = [], disks = [], hostDevices = [] } = params;
  const { agent } = context.guest;
  const address = { containerId, execId: containerId };
  const init = openProcess(context, { address, execId: "", stdio }, descriptors);
  try {
    context.containers.add(containerId, init);
  } catch (error) {
    init.dispose();
    throw error;
  }
  try {
    const { storages, rootPath } = storagesOf(params);
    const parsed = parseOciSpec(params.spec);
    const process = parsed.process && { ...parsed.process, terminal: stdio.terminal };
    const own = diskParts(disks);
    const guestSources = new Map([
      ...volumes.map(({ destination, volume, isShared }): [string, string] => [
        destination,
        isShared === true ? sharedPath(volume) : volumePath(volume),
      ]),
      ...own.guestSources,
    ]);
    const wanted = toAgentSpec(
      { ...parsed, ...(process && { process }) },
      { rootPath, guestSources, blockDevices: own.devices.map((one) => one.containerPath) },
    );
    for (const warning of wanted.warnings) context.logger.warn(warning, { containerId });
    const { spec, sandboxPidns } = wanted;
    const call = agent.call(
      "createContainer",
      {
        ...{
          ...address,
          OCI: spec,
          sandboxPidns,
          devices: [...own.devices, ...hostDeviceParts(hostDevices)],
        },
        storages: [...storages, ...own.storages],
      },
      timeoutMs === undefined ? {} : { timeoutMs },
    );
    await askingToRun("create the container", call);
  } catch (error) {
    context.containers.remove(containerId);
    throw error;
  }
}

function storagesOf(params: MethodParams<"createContainer">): RootfsStorages {
  const { containerId, layers, scratch, rootDisk, sharedRootfs, volumes = [] } = params;
  if (sharedRootfs !== undefined) {
    return { storages: [sharedFsStorage()], rootPath: sharedPath(sharedRootfs) };
  }
  const { storages, rootPath } =
    rootDisk === undefined
      ? rootfsStorages({ containerId, layers, scratch })
      : rootDiskStorages({ containerId, disk: rootDisk });
  const isSharing = volumes.some(({ isShared }) => isShared);
  return { storages: isSharing ? [sharedFsStorage(), ...storages] : storages, rootPath };
}

interface NewProcess {
  address: { containerId: string; execId: string };
  /** The shim's name for it; "" for a container's first process. */
  execId: string;
  stdio: Stdio;
}

function openProcess(
  context: KeeperContext,
  { address, execId, stdio }: NewProcess,
  descriptors: readonly number[],
): GuestProcess {
  let sorted: ReturnType<typeof sortDescriptors>;
  try {
    sorted = sortDescriptors(stdio, descriptors);
  } catch (error) {
    closeAll(descriptors);
    throw error;
  }
  return new GuestProcess({
    agent: context.guest.agent,
    address,
    descriptors: sorted,
    onExit: ({ status, at }) =>
      context.send({ event: "exited", containerId: address.containerId, execId, status, at }),
  });
}

function checkWaiting(process: GuestProcess): void {
  if (process.state === "waiting") return;
  throw new MukonError("PROCESS_STATE", `"${process.address.execId}" was started before.`);
}
