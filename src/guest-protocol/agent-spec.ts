// SPDX-License-Identifier: Apache-2.0
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type LinuxSchema, type Spec, SpecSchema } from "../generated/agent/oci_pb.ts";
import { toAgentMounts } from "./agent-mounts.ts";
import { toAgentProcess } from "./agent-process.ts";
import { toAgentResources } from "./agent-resources.ts";
import { toAgentSeccomp } from "./agent-seccomp.ts";
import type { OciLinux } from "./oci/linux.ts";
import type { OciDevice } from "./oci/resources.ts";
import type { OciSpec } from "./oci-spec.ts";

export interface AgentSpecOptions {
  /** Absolute path of the root file system in the guest. */
  readonly rootPath: string;
  /** Send the seccomp profile; default false, as in Kata. */
  readonly isSeccompWanted?: boolean;
  /** Paths in the guest by destination, for mounts whose sources are on the host. */
  readonly guestSources?: ReadonlyMap<string, string>;
  /** Paths in the container of block devices that the guest has been given. */
  readonly blockDevices?: readonly string[];
}

export interface AgentSpec {
  readonly spec: Spec;
  /** For CreateContainerRequest: the container joins the pod's process namespace. */
  readonly sandboxPidns: boolean;
  /** What was left out and why, one sentence each. */
  readonly warnings: readonly string[];
}

/** Kata's own annotations, too large and meant for the runtime. */
const RUNTIME_ONLY_ANNOTATIONS: readonly string[] = [
  "io.katacontainers.config.agent.policy",
  "io.katacontainers.config.hypervisor.cc_init_data",
];
/** The pod has one network, the guest's; its clock offsets are the guest's too. */
const GUEST_WIDE_NAMESPACES: readonly string[] = ["network", "time", "pid"];

/**
 * The OCI spec as the agent takes it: all that belongs to the host is taken out (hooks, paths of
 * namespaces, CPU numbers, devices, labels, sources of mounts), as Kata does.
 */
export function toAgentSpec(spec: OciSpec, options: AgentSpecOptions): AgentSpec {
  const { mounts, dropped } = toAgentMounts(spec.mounts ?? [], options.guestSources ?? new Map());
  const linux = spec.linux ?? {};
  const pid = linux.namespaces?.find(({ type }) => type === "pid");
  const isUsable = (device: OciDevice): boolean =>
    isUsableInGuest(device) || options.blockDevices?.includes(device.path) === true;
  const devices = (linux.devices ?? []).filter(isUsable);
  const agentSpec = create(SpecSchema, {
    Version: spec.ociVersion,
    ...(spec.process && { Process: toAgentProcess(spec.process) }),
    Root: { Path: options.rootPath, Readonly: spec.root?.readonly ?? false },
    Hostname: spec.hostname ?? "",
    Mounts: mounts,
    Annotations: Object.fromEntries(
      Object.entries(spec.annotations ?? {}).filter(
        ([name]) => !RUNTIME_ONLY_ANNOTATIONS.includes(name),
      ),
    ),
    Linux: toAgentLinux({ ...linux, devices }, options.isSeccompWanted ?? false),
  });
  return {
    spec: agentSpec,
    sandboxPidns: (pid?.path ?? "") !== "",
    warnings: [
      ...dropped.map((path) => `The mount on ${path} is left out: its source is on the host.`),
      ...(linux.devices ?? [])
        .filter((device) => !isUsable(device))
        .map(({ path }) => `The device ${path} is left out: it is the host's.`),
    ],
  };
}

function toAgentLinux(
  linux: OciLinux,
  isSeccompWanted: boolean,
): MessageInitShape<typeof LinuxSchema> {
  const namespaces = (linux.namespaces ?? []).filter(
    ({ type }) => !GUEST_WIDE_NAMESPACES.includes(type),
  );
  return {
    UIDMappings: toAgentMappings(linux.uidMappings),
    GIDMappings: toAgentMappings(linux.gidMappings),
    Sysctl: linux.sysctl ?? {},
    ...(linux.resources && { Resources: toAgentResources(linux.resources) }),
    CgroupsPath: linux.cgroupsPath ?? "",
    Namespaces: namespaces.map(({ type }) => ({ Type: type, Path: "" })),
    Devices: (linux.devices ?? []).map(toAgentDevice),
    ...(isSeccompWanted && linux.seccomp && { Seccomp: toAgentSeccomp(linux.seccomp) }),
    RootfsPropagation: linux.rootfsPropagation ?? "",
    MaskedPaths: linux.maskedPaths ?? [],
    ReadonlyPaths: linux.readonlyPaths ?? [],
  };
}

function toAgentMappings(mappings: OciLinux["uidMappings"]) {
  return (mappings ?? []).map(({ hostID, containerID, size }) => ({
    HostID: hostID,
    ContainerID: containerID,
    Size: size,
  }));
}

function toAgentDevice(device: OciDevice) {
  return {
    Path: device.path,
    Type: device.type,
    Major: BigInt(device.major ?? 0),
    Minor: BigInt(device.minor ?? 0),
    FileMode: device.fileMode ?? 0,
    UID: device.uid ?? 0,
    GID: device.gid ?? 0,
  };
}

/** The host's number of a disk is another disk's in the guest, its root file system's perhaps. */
function isUsableInGuest({ type, path }: OciDevice): boolean {
  return type !== "b" && !path.startsWith("/dev/vfio/");
}
