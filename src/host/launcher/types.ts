// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import type { NamespaceName } from "../../linux/process-status.ts";

/** A descriptor of ours, nothing (/dev/null), or a pipe to us. */
export type StdioSlot = number | "ignore" | "pipe";

/** A program to start without rights. */
export interface ConfinedLaunch {
  /** For messages: "vmm", "keeper". */
  role: string;
  /** The program's absolute path, then its arguments. Everybody can read them: no secrets. */
  argv: readonly string[];
  uid: number;
  gid: number;
  /** Supplementary groups: none, or the one that owns /dev/kvm. */
  groups: readonly number[];
  /** By number of the child's descriptor; it gets no others. With "pipe" at 2, see stderrTail. */
  stdio: readonly StdioSlot[];
  /** At most our own limit. Default 4096. */
  maxOpenFiles?: number;
  /** 0 to 1000; never below our own. Default 0. */
  oomScoreAdjust?: number;
  /** Only for `rootless = false`: lets uid and gid be 0, still without capabilities. */
  isRootAllowed?: boolean;
}

export interface LaunchedProcess extends ProcessHandle {
  child: ChildProcess;
  /** The last 8 KiB of standard error when that is a pipe, printable characters only. */
  stderrTail(): string;
}

/** What /proc must say of every thread of a process. */
export interface ExpectedConfinement {
  role: string;
  uid: number;
  gid: number;
  groups: readonly number[];
  /** `filter`: a seccomp filter must be on; `any`: it may be off. */
  seccomp: "filter" | "any";
  /** Namespaces that must not be ours. */
  ownNamespaces: readonly NamespaceName[];
}
