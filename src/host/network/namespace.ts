// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { inNetworkNamespace } from "../../linux/network-namespace.ts";
import { type RunResult, run } from "../../linux/run.ts";

/** Where the whole machine is to be seen; our own is the same one, as a rule. */
const HOST_NAMESPACES = ["/proc/1/ns/net", "/proc/self/ns/net"];
const COMMAND_TIMEOUT_MS = 20_000;

/** A network namespace that is open, and so stays what it is, whatever happens to its path. */
export interface OpenNamespace {
  path: string;
  descriptor: number;
  /** Tells it from others as long as it is there. */
  inode: number;
}

/**
 * Opens the network namespace that somebody has prepared for a pod; close it in the end.
 * @throws NETWORK_NAMESPACE_MISSING, NETWORK_HOST_REFUSED
 */
export function openNamespace(path: string): OpenNamespace {
  let descriptor: number;
  try {
    // Without O_NONBLOCK, a FIFO in its place would hold up the shim.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw missing(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
  try {
    inNetworkNamespace(descriptor, () => {});
  } catch (error) {
    closeSync(descriptor);
    throw missing(path, "it is no network namespace", error);
  }
  const { ino: inode, dev } = fstatSync(descriptor);
  if (HOST_NAMESPACES.some((host) => isSameFile(host, { ino: inode, dev }))) {
    closeSync(descriptor);
    throw hostNetwork(path);
  }
  return { path, descriptor, inode };
}

function isSameFile(path: string, { ino, dev }: { ino: number; dev: number }): boolean {
  try {
    const status = statSync(path);
    return status.ino === ino && status.dev === dev;
  } catch {
    // In a container, the first process may be out of sight.
    return false;
  }
}

/** The same namespace again, or undefined when it is gone. */
export function reopenNamespace(path: string, inode: number): OpenNamespace | undefined {
  try {
    const namespace = openNamespace(path);
    if (namespace.inode === inode) return namespace;
    closeSync(namespace.descriptor);
    return undefined;
  } catch {
    return undefined;
  }
}

export function hostNetwork(subject: string): MukonError {
  return new MukonError("NETWORK_HOST_REFUSED", `${subject} asks for the network of the host`, {
    hint: "a VM has a network of its own; give the pod one, or none: hostNetwork: false",
  });
}

/** Runs a program of the host's in the namespace. Errors: those of {@link run}. */
export async function runInNamespace(
  namespace: OpenNamespace,
  argv: readonly string[],
  options: { input?: string; allowFailure?: boolean } = {},
): Promise<RunResult> {
  return await run(["nsenter", "--net=/proc/self/fd/3", "--", ...argv], {
    ...options,
    descriptors: [namespace.descriptor],
    timeoutMs: COMMAND_TIMEOUT_MS,
  });
}

function missing(path: string, why: string, cause: unknown): MukonError {
  return new MukonError(
    "NETWORK_NAMESPACE_MISSING",
    `the network namespace ${path} cannot be used: ${why}`,
    { hint: "it may be gone already; its owner must make a new pod", cause },
  );
}
