// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { listMounts, type Mount } from "../../linux/mounts.ts";
import { outermost } from "./build-root.ts";
import { JAIL_ROOT, type Jail, ROOT_TYPE, TOOL_PATH } from "./types.ts";

/** What a process sees of file systems; undefined: it is gone, or nobody may look. */
export interface SeenRoot {
  /** Where its root is in its mount namespace's own. */
  root: string;
  mounts: Mount[];
  /** What is beside the root in the directory that it is in. */
  outside: string[];
}

export function readRoot(pid: number): SeenRoot | undefined {
  try {
    return {
      root: readlinkSync(`/proc/${pid}/root`),
      mounts: listMounts(readFileSync(`/proc/${pid}/mountinfo`, "utf8")),
      outside: readdirSync(`/proc/${pid}/root/..`),
    };
  } catch {
    return undefined;
  }
}

/**
 * `jail`: a process sees nothing but a read-only root that was made for it; `share`: not even that, but
 * a directory in there; `host`: anything else.
 */
export type RootKind = "jail" | "share" | "host";

export function kindOfRoot(seen: SeenRoot | undefined): RootKind {
  if (seen?.root.startsWith(`${JAIL_ROOT}/`) === true) return "share";
  return deviationsOfRoot(seen).length === 0 ? "jail" : "host";
}

/** What is wrong with a root that must be a jail's; empty: nothing. */
export function deviationsOfRoot(seen: SeenRoot | undefined, jail?: Jail): string[] {
  if (seen === undefined) return ["what it sees of file systems cannot be read"];
  const found: string[] = [];
  const roots = seen.mounts.filter(({ mountPoint }) => mountPoint === "/");
  const [root] = roots;
  if (seen.root !== JAIL_ROOT || roots.length !== 1 || root?.fileSystem !== ROOT_TYPE) {
    found.push("its root is not a jail's");
  }
  // A root of the host's that was left, but not let go of, would lie there.
  const beside = seen.outside.filter((name) => name !== basename(JAIL_ROOT));
  if (beside.length > 0) found.push(`${beside.slice(0, 3).join(", ")} is beside its root`);
  for (const { mountPoint, fileSystem, options, superOptions } of seen.mounts) {
    if (!options.includes("ro")) found.push(`${mountPoint} is not read-only`);
    if (!options.includes("nosuid")) found.push(`${mountPoint} is not nosuid`);
    const isDevice = mountPoint.startsWith("/dev/");
    if (!isDevice && !options.includes("nodev")) found.push(`${mountPoint} is not nodev`);
    // Else it is full of what the kernel tells about the host.
    const isRestricted = fileSystem !== "proc" || superOptions.includes("subset=pid");
    if (!isRestricted) found.push(`${mountPoint} shows more than processes`);
  }
  if (!seen.mounts.some(({ fileSystem }) => fileSystem === "proc")) found.push("it has no /proc");
  if (jail !== undefined) found.push(...surplus(seen.mounts, jail));
  return found;
}

/** Each mount that nobody asked for. */
function surplus(mounts: readonly Mount[], jail: Jail): string[] {
  const known = new Set([...outermost(jail.paths), ...jail.devices, "/", "/proc", TOOL_PATH]);
  return mounts
    .map(({ mountPoint }) => mountPoint)
    .filter((path) => !known.has(path))
    .map((path) => `it sees ${path}, which is not in its jail`);
}
