// SPDX-License-Identifier: Apache-2.0
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { OverlayLayers } from "../../host/shared-fs/overlay.ts";

/** Options of the kernel's that change nothing about where the files are. */
const HARMLESS =
  /^(index|redirect_dir|metacopy|xino|nfs_export|uuid)=[a-z]+$|^(userxattr|nouserxattr|volatile|rw|ro|noatime|relatime)$/;
/** Flags of the mount, which the container's own spec decides about. */
const FLAGS = ["rw", "ro", "noatime", "relatime", "nouserxattr"];

/** Reads an overlay mount as snapshotters write it. @throws ROOTFS_UNSUPPORTED, naming the option */
export function readOverlay(mount: { options: readonly string[] }): OverlayLayers {
  const named = new Map<string, string>();
  const options: string[] = [];
  for (const option of mount.options) {
    const [, name, value] = /^(lowerdir|upperdir|workdir)=(.+)$/.exec(option) ?? [];
    if (name !== undefined && value !== undefined) named.set(name, value);
    else if (!HARMLESS.test(option)) throw invalid(`its overlay has the option "${option}"`);
    else if (!FLAGS.includes(option)) options.push(option);
  }
  const lower = splitLayers(named.get("lowerdir") ?? "");
  const [directory, work] = [named.get("upperdir"), named.get("workdir")];
  const paths = [...lower, ...[directory, work].filter((path) => path !== undefined)];
  const wrong = paths.find((path) => !isAbsolute(path));
  if (wrong !== undefined) throw invalid(`its overlay has the layer "${wrong}"`);
  if (lower.length === 0) throw invalid("its overlay has no lower layer");
  if (directory === undefined || work === undefined) return { lower, options };
  return { lower, upper: { directory, work }, options };
}

/** Colons separate the layers; with a backslash they are part of a name. */
function splitLayers(text: string): string[] {
  return text
    .split(/(?<!\\):/)
    .filter((layer) => layer !== "")
    .map((layer) => layer.replace(/\\(.)/g, "$1"));
}

function invalid(why: string): MukonError {
  return new MukonError(
    "ROOTFS_UNSUPPORTED",
    `the container's root file system cannot be had in the guest: ${why}`,
    { hint: "mukon takes overlays as containerd's overlayfs snapshotter makes them" },
  );
}
