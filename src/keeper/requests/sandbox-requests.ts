// SPDX-License-Identifier: Apache-2.0
import { SHARED_FS_TAG, sharedMemoryStorage } from "../../guest-protocol/volumes.ts";
import { type Step, Steps } from "../../logging/steps.ts";
import type { Handlers } from "../control/handlers.ts";
import { asking } from "../guest/guest-error.ts";
import { followOutOfMemory } from "../guest/out-of-memory.ts";
import { refreshGuest } from "../guest/refresh.ts";
import { closeAll } from "../process/process-stdio.ts";
import type { KeeperContext } from "./context.ts";

const DEFAULT_SHARED_MEMORY_BYTES = 64 * 1024 * 1024;

type SandboxHandlers = Pick<
  Handlers,
  | "boot"
  | "saveState"
  | "prepareSandbox"
  | "attachDisk"
  | "resizeDisk"
  | "detachDisk"
  | "attachHostDevice"
  | "detachHostDevice"
  | "attachSharedFs"
  | "destroySandbox"
>;

/** Requests about the pod as a whole. */
export function sandboxRequests(context: KeeperContext): SandboxHandlers {
  const { guest } = context;
  return {
    boot: async ({ timeoutMs, isClone, extraMemoryMib, extraVcpus, bay }, descriptors) => {
      try {
        return await guest.boot(timeoutMs, {
          isClone: isClone ?? false,
          extraMemoryMib: extraMemoryMib ?? 0,
          extraVcpus: extraVcpus ?? 0,
          bay: bay && { ...bay, descriptor: descriptors[0] ?? -1 },
        });
      } finally {
        closeAll(descriptors);
      }
    },
    saveState: async ({ timeoutMs }, descriptors) => {
      try {
        // Nothing of the sandbox that the template was warmed up with stays.
        await asking("end", guest.agent.call("destroySandbox", {}));
        await guest.saveState(descriptors[0] ?? -1, timeoutMs);
        return {};
      } finally {
        closeAll(descriptors);
      }
    },
    prepareSandbox: async (params) => ({ stages: await prepare(context, params) }),
    attachDisk: async (params, descriptors) => {
      try {
        const disk = { ...params, descriptor: descriptors[0] ?? -1 };
        return await guest.disks.attach(disk);
      } finally {
        closeAll(descriptors);
      }
    },
    resizeDisk: async ({ diskId, sizeBytes }) => {
      await guest.disks.resize(diskId, sizeBytes);
      return {};
    },
    detachDisk: async ({ diskId }) => {
      await guest.disks.detach(diskId);
      return {};
    },
    attachHostDevice: async ({ address }) => await guest.hostDevices.attach(address),
    detachHostDevice: async ({ address }) => {
      await guest.hostDevices.detach(address);
      return {};
    },
    attachSharedFs: async ({ queueSize }, descriptors) => {
      try {
        const descriptor = descriptors[0] ?? -1;
        await guest.attachSharedFs({ queueSize, descriptor, tag: SHARED_FS_TAG });
        return {};
      } finally {
        closeAll(descriptors);
      }
    },
    destroySandbox: async ({ timeoutMs }) => {
      context.expectEnd();
      await asking("end", guest.agent.call("destroySandbox", {}, { timeoutMs }));
      return {};
    },
  };
}

async function prepare(
  context: KeeperContext,
  params: Parameters<Handlers["prepareSandbox"]>[0],
): Promise<Step[]> {
  const { agent } = context.guest;
  const { sandboxId, hostname, dns, sharedMemoryBytes = DEFAULT_SHARED_MEMORY_BYTES } = params;
  const storages = [sharedMemoryStorage(sharedMemoryBytes)];
  const steps = new Steps();
  await refreshGuest(agent, steps);
  await steps.run("set up", () =>
    asking("set the pod up", agent.call("createSandbox", { sandboxId, hostname, dns, storages })),
  );
  void followOutOfMemory(agent, (containerId) => {
    if (context.containers.has(containerId)) context.send({ event: "oom", containerId });
  });
  return steps.all;
}
