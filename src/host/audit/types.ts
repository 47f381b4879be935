// SPDX-License-Identifier: Apache-2.0

import type { CapabilitySets, NamespaceName, ProcessStatus } from "../../linux/process-status.ts";
import type { DeviceLimits } from "../cgroups/device-limits.ts";
import type { RootKind } from "../jail/inspect-root.ts";

/** P1: no rights. P2: nothing shared with other pods. P3: nothing of the host loosened. */
export const PROMISES = ["P1", "P2", "P3"] as const;
export type PromiseName = (typeof PROMISES)[number];

/** `trusted`: the shim and its helpers, to which the promises do not apply. */
export type Verdict = "kept" | "trusted" | `broken: ${string}`;

/** `unknown`: has an id of the pod, but nobody wrote down that it was started. */
export type AuditRole =
  | "shim"
  | "keeper"
  | "vmm"
  | "network"
  | "virtiofsd"
  | "passt"
  | "helper"
  | "unknown";

/** Plain values only, for tables and JSON. */
export interface AuditedProcess {
  role: AuditRole;
  pid: number;
  program: string;
  /** The number as text, when it has no name. */
  userName: string;
  groupName: string;
  uid: number;
  gid: number;
  groups: number[];
  /** Sixteen hexadecimal digits each, as in /proc. */
  capabilities: Record<keyof CapabilitySets, string>;
  noNewPrivileges: boolean;
  /** 0 off, 1 strict, 2 filter. */
  seccomp: number;
  /** Compared with those of the host's first process. */
  namespaces: Partial<Record<NamespaceName, "host" | "own">>;
  root: RootKind;
  /** What its cgroups let it open; a jail has next to no nodes, whatever this is. */
  devices: DeviceLimits;
  verdicts: Record<PromiseName, Verdict>;
}

export interface AuditReport {
  key: string;
  id: string;
  namespace: string;
  hypervisor: string;
  accelerator: "kvm" | "tcg" | undefined;
  rootless: boolean;
  createdAt: string;
  /** Of processes that were started for the pod and are gone. */
  ended: AuditRole[];
  processes: AuditedProcess[];
  /** No promise is broken. */
  isKept: boolean;
}

/** A process of a sandbox that runs, as /proc has it. */
export interface FoundProcess {
  role: AuditRole;
  status: ProcessStatus;
}
