// SPDX-License-Identifier: Apache-2.0
import type { ChildProcess } from "node:child_process";
import type { ProcessHandle } from "../../linux/pidfd.ts";
import type { NamespaceName } from "../../linux/process-status.ts";
import type { IdMap } from "../../linux/user-namespace.ts";
import type { Jail } from "../jail/types.ts";

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
  /**
   * All that it sees of the host, with mount and pid namespaces of its own. Without it, it shares
   * the host's: the program must be among the jail's paths.
   */
  jail?: Jail;
  /** By number of the child's descriptor; it gets no others. With "pipe" at 2, see stderrTail. */
  stdio: readonly StdioSlot[];
  /** At most our own limit. Default 4096. */
  maxOpenFiles?: number;
  /** 0 to 1000; never below our own. Default 0. */
  oomScoreAdjust?: number;
  /** Only for `rootless = false`: lets uid and gid be 0, still without capabilities. */
  isRootAllowed?: boolean;
  /**
   * Leaves it in our own network, behind a wall: this is called with its pid when it is there, and
   * before it enters the jail, which it must have.
   */
  placeBehindWall?: (pid: number) => void;
  /** Makes it root of a user namespace; `uid` and `gid` are what that root is on the host. */
  userNamespace?: UserNamespaceLaunch;
}

/** A user namespace of our own making, and what its root may do in there, and only there. */
export interface UserNamespaceLaunch {
  descriptor: number;
  map: IdMap;
  /** Names as setpriv(1) has them. */
  capabilities: readonly CapabilityName[];
}

/** Bits of capabilities, as in linux/capability.h. */
export const CAPABILITY_BITS = {
  chown: 0,
  dac_override: 1,
  fowner: 3,
  fsetid: 4,
  setgid: 6,
  setuid: 7,
  setpcap: 8,
  sys_chroot: 18,
  mknod: 27,
  setfcap: 31,
} as const;
export type CapabilityName = keyof typeof CAPABILITY_BITS;

export function capabilityMask(names: readonly CapabilityName[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(CAPABILITY_BITS[name])), 0n);
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
  /** `filter`: a seccomp filter must be on; `main`: for the first thread; `any`: it may be off. */
  seccomp: "filter" | "main" | "any";
  /** Namespaces that must not be ours. */
  ownNamespaces: readonly NamespaceName[];
  /** Only for the root of a user namespace of its own: the namespace's map, and what it may. */
  userNamespace?: { map: IdMap; capabilities: readonly CapabilityName[] };
  /** What its root must hold, and no more. */
  jail?: Jail | undefined;
}
