// SPDX-License-Identifier: Apache-2.0
import { readFileSync, readlinkSync } from "node:fs";
import { listMounts, type Mount } from "../../linux/mounts.ts";
import { outermost } from "./build-root.ts";
import { type Jail, ROOT_TYPE, TOOL_DIRECTORY } from "./types.ts";

/** What a process sees of file systems; undefined: it is gone, or nobody may look. */
export interface SeenRoot {
  /** Where its root is in its mount namespace's own. */
  root: string;
  mounts: Mount[];
}

export function readRoot(pid: number): SeenRoot | undefined {
  try {
    return {
      root: readlinkSync(`/proc/${pid}/root`),
      mounts: listMounts(readFileSync(`/proc/${pid}/mountinfo`, "utf8")),
    };
  } catch {
    return undefined;
  }
}

/** What is wrong with a root that must be a jail's; empty: nothing. */
export function deviationsOfRoot(seen: SeenRoot | undefined, jail?: Jail): string[] {
  if (seen === undefined) return ["what it sees of file systems cannot be read"];
  const found: string[] = [];
  const roots = seen.mounts.filter(({ mountPoint }) => mountPoint === "/");
  const [root] = roots;
  // A root that was left, but not let go of, is a second one in the same place.
  if (seen.root !== "/" || roots.length !== 1 || root?.fileSystem !== ROOT_TYPE) {
    found.push("its root is not a jail's");
  }
  for (const { mountPoint, options } of seen.mounts) {
    if (!options.includes("ro")) found.push(`${mountPoint} is not read-only`);
    if (!options.includes("nosuid")) found.push(`${mountPoint} is not nosuid`);
    const isDevice = mountPoint.startsWith("/dev/");
    if (!isDevice && !options.includes("nodev")) found.push(`${mountPoint} is not nodev`);
  }
  if (jail !== undefined) found.push(...surplus(seen.mounts, jail));
  return found;
}

/** Each mount that nobody asked for, once; the tools of the launch are known by their number. */
function surplus(mounts: readonly Mount[], jail: Jail): string[] {
  const known = new Set([...outermost(jail.paths), ...jail.devices, "/", "/proc"]);
  return mounts
    .map(({ mountPoint }) => mountPoint)
    .filter((path) => !known.has(path) && !path.startsWith(`${TOOL_DIRECTORY}/`))
    .map((path) => `it sees ${path}, which is not in its jail`);
}
