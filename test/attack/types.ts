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
  /** Listening on the host: an abstract Unix socket, and TCP at all of its addresses. */
  abstractSocket: string;
  tcpPort: number;
  /** Of the host: of IPv4, and not its loopback's where it has others. */
  hostAddress: string;
}

/** The processes of a pod that the guest can reach. */
export type Role = "vmm" | "keeper" | "virtiofsd" | "passt";

/** One thing that somebody tries who has taken over a process. */
export interface Attempt {
  name: string;
  /** What stops it. */
  wall: string;
  /** Whom it would not help: the root of a user namespace may do so, with the pod's own ids. */
  notFor?: Role;
  /** Who alone could do something with it; none: everybody. */
  onlyFor?: Role;
  /** What the kernel may say; that is a failure of the attempt, as it must be. */
  refusals: readonly string[];
  /** What stops passt, which is in the host's network behind walls of its own, where that differs. */
  forPasst?: { wall: string; refusals: readonly string[] };
  /** Throws the kernel's refusal; returns when it worked. */
  run(targets: Targets): void;
}
