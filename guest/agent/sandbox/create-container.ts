// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { killAll } from "../cgroup/control.ts";
import { cgroupsPathOf, containerCgroup } from "../cgroup/layout.ts";
import { type OomEvents, OomWatch } from "../cgroup/oom.ts";
import { Container } from "../container/container.ts";
import type { Crun } from "../container/crun.ts";
import { stringify } from "../container/json.ts";
import { launchProcess } from "../container/process.ts";
import { withStringUser } from "../container/process-json.ts";
import type { Reaper } from "../container/reaper.ts";
import { type OciSpec, specJson } from "../container/spec-json.ts";
import { AgentError, Status } from "../errors.ts";
import { failure } from "../log.ts";
import { unmount } from "../native/mount.ts";
import type { Infer } from "../protobuf/field.ts";
import type { CreateContainerRequest } from "../schema/agent.ts";
import type { Storages } from "../storage/storages.ts";
import { withDevices } from "./devices.ts";
import { sandboxFileMounts } from "./files.ts";
import { setSysctls } from "./kernel-settings.ts";

export type CreateRequest = Infer<typeof CreateContainerRequest>;

/** What all containers of the guest share. */
export interface Machine {
  readonly crun: Crun;
  readonly reaper: Reaper;
  readonly storages: Storages;
  readonly oomEvents: OomEvents;
  readonly bundlesDirectory: string;
  nextFilePrefix(): string;
}

/**
 * Mounts the container's storages and has crun make it, up to the point where `start` lets it run.
 * @param pidNamespacePath of a namespace to join, or `undefined`
 */
export async function createContainer(
  machine: Machine,
  request: CreateRequest,
  pidNamespacePath: string | undefined,
): Promise<Container> {
  const mountPoints = await machine.storages.add(request.storages);
  const bundle = join(machine.bundlesDirectory, request.containerId);
  try {
    const spec = await prepareSpec(request);
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    const config = specJson(spec, {
      cgroupsPath: cgroupsPathOf(request.containerId),
      pidNamespacePath,
      extraMounts: await sandboxFileMounts(spec.root?.path ?? "", spec.mounts),
    });
    writeFileSync(join(bundle, "config.json"), stringify(config), { mode: 0o600 });
    const sharedPaths = sharedPathsOf(request);
    return await launch(machine, {
      ...{ id: request.containerId, bundle, mountPoints, sharedPaths, spec },
    });
  } catch (error) {
    rmSync(bundle, { recursive: true, force: true });
    await machine.storages.remove(mountPoints);
    throw error;
  }
}

async function prepareSpec(request: CreateRequest): Promise<OciSpec> {
  const { oci } = request;
  if (oci?.process === undefined) {
    throw new AgentError(Status.invalidArgument, "the container's spec has no process");
  }
  const spec = {
    ...oci,
    process: withStringUser(oci.process, request.stringUser),
    linux: await withDevices(oci.linux, request.devices),
  };
  setSysctls(spec.linux?.sysctl ?? new Map());
  return spec;
}

/** Root file system and volumes that lie in a file system which is shared with the host. */
function sharedPathsOf({ oci, storages }: CreateRequest): string[] {
  const roots = storages
    .filter(({ driver }) => driver === "virtio-fs")
    .map(({ mountPoint }) => `${mountPoint}/`);
  return [oci?.root?.path ?? "", ...(oci?.mounts ?? []).map(({ source }) => source)].filter(
    (path) => roots.some((root) => path.startsWith(root)),
  );
}

interface Plan {
  readonly id: string;
  readonly bundle: string;
  readonly mountPoints: readonly string[];
  readonly sharedPaths: readonly string[];
  readonly spec: OciSpec;
}

async function launch(machine: Machine, plan: Plan): Promise<Container> {
  const { crun, reaper } = machine;
  const { id, bundle, mountPoints, sharedPaths, spec } = plan;
  const processSpec = spec.process;
  if (processSpec === undefined) throw new Error("unreachable: specJson checked the process");
  try {
    const init = await launchProcess({
      reaper,
      filePrefix: machine.nextFilePrefix(),
      hasTerminal: processSpec.terminal,
      start: (launched) => crun.create(id, bundle, launched),
    });
    const cgroup = containerCgroup(id);
    const oomWatch = new OomWatch(cgroup, () => machine.oomEvents.push(id));
    // What the container's first process leaves behind has no one to end it.
    void init.exited.then(() => {
      oomWatch.check();
      killAll(cgroup);
    });
    const nextFilePrefix = () => machine.nextFilePrefix();
    return new Container(
      {
        ...{ id, crun, reaper, cgroup, bundle, mountPoints, sharedPaths },
        ...{ processSpec, oomWatch, nextFilePrefix },
      },
      init,
    );
  } catch (error) {
    await crun.delete(id).catch((reason) => failure(`cannot delete container ${id}`, reason));
    throw error;
  }
}

/** Ends all that runs in the container and gives back all that it held. */
export async function removeContainer(machine: Machine, container: Container): Promise<void> {
  const { id, bundle, cgroup, mountPoints, sharedPaths, oomWatch } = container.parts;
  killAll(cgroup);
  await container.init.exited;
  await machine.crun.delete(id);
  oomWatch.close();
  container.closeStreams();
  rmSync(bundle, { recursive: true, force: true });
  // The guest mounts each by itself when it is used, and keeps it: the host could not let go of it.
  for (const path of sharedPaths) await unmount(path);
  await machine.storages.remove(mountPoints);
}
