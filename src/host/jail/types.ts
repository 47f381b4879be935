// SPDX-License-Identifier: Apache-2.0

/**
 * What a program sees of the host: an empty root in memory, with these shown at their own paths,
 * read-only, and a /proc of its own pid namespace that shows processes and nothing else.
 */
export interface Jail {
  /** Absolute paths of files, and of directories with all that is in them. */
  paths: readonly string[];
  /** Absolute paths of device nodes; whether it may open them is for their mode to say. */
  devices: readonly string[];
  /** Its /proc also has the files about the kernel beside the processes. */
  isProcWhole?: boolean;
  /** A directory that is seen under another path as it is, with all that is mounted below it later. */
  shared?: { directory: string; at: string };
  /** Who the last tool runs as, where that is not root: the root of a user namespace. */
  toolOwner?: number;
}

/**
 * The root of its processes, seen from that of their mount namespace, where nothing else is. To be
 * one below keeps them from making user namespaces, in which they had capabilities again:
 * user_namespaces(7).
 */
export const JAIL_ROOT = "/jail";
/** What the kernel calls it, without the jail: things are shown in there at their own paths. */
export function pathOnHost(path: string): string {
  return path.startsWith(`${JAIL_ROOT}/`) ? path.slice(JAIL_ROOT.length) : path;
}

/** Where a jail has the last tool before the program; nobody but who runs it may enter there. */
export const TOOL_PATH = "/.launch/setpriv";
/** File system type, as mountinfo has it, of a jail's root. */
export const ROOT_TYPE = "tmpfs";
