// SPDX-License-Identifier: Apache-2.0

/**
 * Everything that is written into a pod's journal, by the source file that writes it, in the words of
 * {@link stepOf}. A test of the sources compares: a step that is new there is missing here, and one
 * that is here is killed at by `test/integration/kill`.
 */
export const JOURNALLED_STEPS: Readonly<Record<string, readonly string[]>> = {
  "src/host/cgroups/pod-cgroup.ts": ["cgroup"],
  "src/host/identity/acquire.ts": ["identity", "user"],
  "src/host/journal/journal.ts": ["process shim"],
  "src/host/network/mirror.ts": ["mirror"],
  // Of a network in user mode, and so is the process passt: killed at by
  // test/integration/network/user-frames.test.ts.
  "src/host/network/user/wall.ts": ["cgroup"],
  "src/host/runtime-dir/runtime-dir.ts": ["directory user"],
  "src/host/shared-fs/tree.ts": ["directory shared"],
  "src/sandbox/launch-verified.ts": [
    "process vmm",
    "process keeper",
    "process virtiofsd",
    "process network",
  ],
  "src/sandbox/pod-shares.ts": ["directory layer"],
};

/** Not before something is to be shared with a guest that runs. */
export const STEPS_OF_SHARING: readonly string[] = ["directory shared", "process virtiofsd"];

/** Only for a client such as Docker, which fills a new network namespace and mounts overlays itself. */
export const STEPS_FOR_DOCKER: readonly string[] = ["process network", "directory layer"];

/** The step that an entry of a journal announces. */
export function stepOf(entry: { type: string; role?: string; path?: string }): string {
  if (entry.role !== undefined) return `${entry.type} ${entry.role}`;
  // The runtime directory's parent has a name of its own in tests of one, never in these.
  const parent = entry.path?.split("/").at(-2) ?? "";
  return entry.type === "directory" ? `directory ${parent}` : entry.type;
}
