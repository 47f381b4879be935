// SPDX-License-Identifier: Apache-2.0
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import type { Linux, LinuxSeccomp, Mount, Spec } from "../schema/oci.ts";
import { type Json, unlessEmpty, unlessZero } from "./json.ts";
import { processJson } from "./process-json.ts";
import { deviceRulesJson, resourcesJson } from "./resources-json.ts";

export type OciSpec = Infer<typeof Spec>;
type LinuxSpec = Infer<typeof Linux>;

/** What the agent decides, whatever the spec says. */
export interface GuestChoices {
  /** Below the root of the cgroup file system, e.g. `/containers/ID`. */
  readonly cgroupsPath: string;
  /** Of the sandbox's shared process namespace; `undefined` for a namespace of its own. */
  readonly pidNamespacePath: string | undefined;
  readonly extraMounts: readonly Infer<typeof Mount>[];
}

/**
 * crun's config.json. The guest belongs to one pod, so its network, ipc and uts namespaces are the
 * pod's: containers share them. Sysctls, being the pod's too, are set by the agent.
 */
export function specJson(spec: OciSpec, choices: GuestChoices): Json {
  if (spec.process === undefined) throw incomplete("process");
  if (spec.root === undefined || spec.root.path === "") throw incomplete("root file system");
  const startContainer = spec.hooks?.startContainer ?? [];
  return {
    ociVersion: spec.version === "" ? "1.0.2" : spec.version,
    process: processJson(spec.process),
    root: { path: spec.root.path, readonly: spec.root.readonly },
    mounts: [...spec.mounts, ...choices.extraMounts].map((mount) => ({
      destination: mount.destination,
      source: unlessZero(mount.source),
      type: unlessZero(mount.type),
      options: unlessEmpty(mount.options),
    })),
    hooks:
      startContainer.length === 0 ? undefined : { startContainer: startContainer.map(hookJson) },
    annotations: Object.fromEntries(spec.annotations),
    linux: linuxJson(spec.linux, choices),
  };
}

function incomplete(part: string): AgentError {
  return new AgentError(Status.invalidArgument, `the container's spec has no ${part}`);
}

function hookJson(hook: {
  path: string;
  args: readonly string[];
  env: readonly string[];
  timeout: bigint;
}): Json {
  const { path, args, env, timeout } = hook;
  return { path, args: unlessEmpty(args), env: unlessEmpty(env), timeout: unlessZero(timeout) };
}

function linuxJson(linux: LinuxSpec | undefined, choices: GuestChoices): Json {
  const devices = linux?.devices ?? [];
  return {
    uidMappings: mappingsJson(linux?.uidMappings),
    gidMappings: mappingsJson(linux?.gidMappings),
    cgroupsPath: choices.cgroupsPath,
    namespaces: namespacesJson(linux, choices),
    devices: unlessEmpty(
      devices.map((device) => ({ ...device, fileMode: unlessZero(device.fileMode) })),
    ),
    resources: {
      ...resourcesJson(linux?.resources),
      devices: deviceRulesJson(linux?.resources, devices),
    },
    seccomp: linux?.seccomp && seccompJson(linux.seccomp),
    rootfsPropagation: unlessZero(linux?.rootfsPropagation ?? ""),
    maskedPaths: unlessEmpty(linux?.maskedPaths ?? []),
    readonlyPaths: unlessEmpty(linux?.readonlyPaths ?? []),
  };
}

function mappingsJson(mappings: LinuxSpec["uidMappings"] | undefined): Json {
  return unlessEmpty(
    (mappings ?? []).map(({ hostId, containerId, size }) => ({
      hostID: hostId,
      containerID: containerId,
      size,
    })),
  );
}

/**
 * Always with a cgroup namespace: clients on a host with cgroups of version 1 ask for none, and the
 * guest has version 2, where a container is to find its own limits at the top of /sys/fs/cgroup.
 */
function namespacesJson(linux: LinuxSpec | undefined, choices: GuestChoices): Json {
  const hasUsers = linux?.namespaces.some(({ type }) => type === "user") ?? false;
  return [
    { type: "mount" },
    { type: "pid", path: choices.pidNamespacePath },
    { type: "cgroup" },
    ...(hasUsers ? [{ type: "user" }] : []),
  ];
}

function seccompJson(seccomp: Infer<typeof LinuxSeccomp>): Json {
  return {
    defaultAction: seccomp.defaultAction,
    architectures: unlessEmpty(seccomp.architectures),
    flags: unlessEmpty(seccomp.flags),
    syscalls: seccomp.syscalls.map((call) => ({
      names: call.names,
      action: call.action,
      errnoRet: unlessZero(call.errnoRet),
      args: unlessEmpty(call.args.map((argument) => ({ ...argument }))),
    })),
  };
}
