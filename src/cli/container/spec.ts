// SPDX-License-Identifier: Apache-2.0

import {
  DEFAULT_CAPABILITIES,
  DEFAULT_MOUNTS,
  MASKED_PATHS,
  READONLY_PATHS,
} from "../../guest-protocol/oci/docker-defaults.ts";
import type { OciMount, OciProcess, OciSpec } from "../../guest-protocol/oci-spec.ts";

/** Everything about a container that its user chose, or that its image says. */
export interface ContainerChoices {
  id: string;
  command: string[];
  /** NAME=value, later ones win. */
  environment: string[];
  workingDirectory: string;
  user: { uid: number; gid: number; additionalGids: number[] };
  hostname: string;
  terminal: boolean;
  readOnly: boolean;
  memoryBytes?: number;
  cpus?: number;
  pidsLimit?: number;
  annotations: Record<string, string>;
  /** Path of the network namespace that the pod is seen in; none: it has no network. */
  networkNamespace?: string | undefined;
  mounts?: readonly OciMount[];
}

const NETWORK_MODEL = "io.katacontainers.config.runtime.internetworking_model";
/** CPU quotas are given per this period. */
const CPU_PERIOD_MICROSECONDS = 100_000;

/** The OCI runtime specification of a container, with what Docker grants by default. */
export function makeSpec(choices: ContainerChoices): OciSpec {
  return {
    ociVersion: "1.1.0",
    process: {
      terminal: choices.terminal,
      user: choices.user,
      args: choices.command,
      env: choices.environment,
      cwd: choices.workingDirectory,
      capabilities: capabilitiesOf(choices.user.uid),
      noNewPrivileges: false,
    },
    root: { path: "rootfs", readonly: choices.readOnly },
    hostname: choices.hostname,
    mounts: [...DEFAULT_MOUNTS, ...(choices.mounts ?? [])],
    linux: {
      namespaces: [
        ...["pid", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
        { type: "network", path: choices.networkNamespace },
      ],
      resources: resources(choices),
      cgroupsPath: `/mukon/${choices.id}`,
      maskedPaths: MASKED_PATHS,
      readonlyPaths: READONLY_PATHS,
    },
    annotations: {
      // Nobody is to put anything into a network namespace, so none is made for that.
      ...(choices.networkNamespace === undefined ? { [NETWORK_MODEL]: "none" } : {}),
      ...choices.annotations,
    },
  };
}

/** Only root holds them from the start; others can get them by programs that are set so. */
export function capabilitiesOf(uid: number): NonNullable<OciProcess["capabilities"]> {
  const held = uid === 0 ? DEFAULT_CAPABILITIES : [];
  return { bounding: DEFAULT_CAPABILITIES, effective: held, permitted: held };
}

function resources(
  choices: ContainerChoices,
): NonNullable<NonNullable<OciSpec["linux"]>["resources"]> {
  const { memoryBytes, cpus, pidsLimit } = choices;
  return {
    ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
    ...(cpus === undefined
      ? {}
      : {
          cpu: {
            quota: Math.round(cpus * CPU_PERIOD_MICROSECONDS),
            period: CPU_PERIOD_MICROSECONDS,
          },
        }),
    ...(pidsLimit === undefined ? {} : { pids: { limit: pidsLimit } }),
  };
}
