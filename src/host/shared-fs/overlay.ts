// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { mountOverlay } from "../../linux/mount-tree.ts";
import { listMounts, unmount } from "../../linux/mounts.ts";
import { SystemCallError } from "../../linux/system-call.ts";
import { mapIds } from "./map-ids.ts";

/** Layers of an overlay file system, as directories of the host. */
export interface OverlayLayers {
  /** The top layer first. */
  lower: readonly string[];
  /** What is written goes there; none: it is read-only. */
  upper?: {
    directory: string;
    work: string;
    /** The work directory is to be made, and to go with the pod. */
    isWorkNew?: boolean;
  };
  /** Other options for the kernel, such as `index=off`. */
  options: readonly string[];
}

export interface OverlayPlace {
  target: string;
  /** Does not exist as a mount point for anybody else; emptied at the end. */
  workDirectory: string;
  userNamespace: number;
  /** For the upper layer: maps the id of the one who mounts, too. */
  upperNamespace: number;
}

/**
 * Mounts an overlay of layers whose ids are mapped: kernels map those of no overlay as a whole. The
 * layers' own mounts are gone afterwards, as the overlay keeps its own.
 * @throws ID_MAP_UNSUPPORTED, SHARE_FAILED, OVERLAY_READ_ONLY
 */
export function mountLayers(layers: OverlayLayers, place: OverlayPlace): void {
  const { workDirectory, target } = place;
  const made: string[] = [];
  const show = (source: string, userNamespace: number, readOnly: boolean): string => {
    const name = String(made.length);
    const path = join(workDirectory, name);
    mkdirSync(path, { mode: 0o700 });
    made.push(path);
    mapIds(source, path, { userNamespace, readOnly });
    return name;
  };
  try {
    const lower = layers.lower.map((source) => show(source, place.userNamespace, true));
    const options = [...layers.options, `lowerdir=${lower.join(":")}`];
    if (layers.upper !== undefined) {
      // Both in one mount: the kernel renames from one to the other.
      const { parent, upper, work } = split(layers.upper);
      const shown = show(parent, place.upperNamespace, false);
      options.push(`upperdir=${shown}/${upper}`, `workdir=${shown}/${work}`);
    }
    mountNow(workDirectory, target, options.join(","));
    if (layers.upper !== undefined) assertWritable(target);
  } finally {
    for (const path of made.reverse()) {
      unmount(path, { lazy: true });
      rmdirSync(path);
    }
  }
}

/** The directory that both are in, by names that the kernel's options can hold. */
function split(upper: NonNullable<OverlayLayers["upper"]>): {
  parent: string;
  upper: string;
  work: string;
} {
  const [a, b] = [upper.directory.split("/"), upper.work.split("/")];
  let common = 0;
  while (common < Math.min(a.length, b.length) - 1 && a[common] === b[common]) common += 1;
  return {
    parent: a.slice(0, common).join("/") || "/",
    upper: escapeOption(a.slice(common).join("/")),
    work: escapeOption(b.slice(common).join("/")),
  };
}

function escapeOption(path: string): string {
  return path.replace(/[\\,:]/g, (character) => `\\${character}`);
}

function mountNow(directory: string, target: string, data: string): void {
  try {
    mountOverlay({ directory, target, data });
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new MukonError(
      "SHARE_FAILED",
      `the kernel does not put the layers together (${data}): ${cause.errorName}`,
      {
        hint: "overlays of ID-mapped layers came with Linux 5.19; see dmesg for what it says. Otherwise use containerd's erofs snapshotter",
        cause,
      },
    );
  }
}

/** An overlay that cannot make its work directory is mounted read-only, without an error. */
function assertWritable(target: string): void {
  const mount = listMounts().findLast(({ mountPoint }) => mountPoint === target);
  if (mount !== undefined && !mount.superOptions.includes("ro")) return;
  throw new MukonError(
    "OVERLAY_READ_ONLY",
    `the kernel mounted the overlay on ${target} read-only, since it cannot use its upper layer`,
    {
      hint: "see dmesg; the upper layer must be on a file system that maps ids and can be written to",
    },
  );
}
