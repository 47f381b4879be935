// SPDX-License-Identifier: Apache-2.0

/** What the attacker knows of the host: more than a real one would. */
export interface Targets {
  /** Processes of the host's, of its own pod and of another one. */
  pids: number[];
  /** The user of the other pod's VMM. */
  otherUid: number;
  /** Files and directories that are there on the host. */
  paths: string[];
  /** Programs with the suid bit. */
  suidPrograms: string[];
  /** Listening on the host: an abstract Unix socket, and TCP on 127.0.0.1. */
  abstractSocket: string;
  tcpPort: number;
}

/** The processes of a pod that the guest can reach. */
export type Role = "vmm" | "keeper" | "virtiofsd";

/** One thing that somebody tries who has taken over a process. */
export interface Attempt {
  name: string;
  /** What stops it. */
  wall: string;
  /** Whom it would not help: the root of a user namespace may do so, with the pod's own ids. */
  notFor?: Role;
  /** What the kernel may say; that is a failure of the attempt, as it must be. */
  refusals: readonly string[];
  /** Throws the kernel's refusal; returns when it worked. */
  run(targets: Targets): void;
}
