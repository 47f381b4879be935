// SPDX-License-Identifier: Apache-2.0

/**
 * What a program sees of the host: an empty root in memory, with these shown at their own paths,
 * read-only, and a /proc that shows it the processes of its own user alone, and no other file.
 */
export interface Jail {
  /** Absolute paths of files, and of directories with all that is in them. */
  paths: readonly string[];
  /** Absolute paths of device nodes; whether it may open them is for their mode to say. */
  devices: readonly string[];
}

/** Where it is in a jail, in a directory that only root may enter: the last tool before the program. */
export const TOOL_DIRECTORY = "/.launch";
/** File system type, as mountinfo has it, of a jail's root. */
export const ROOT_TYPE = "tmpfs";
