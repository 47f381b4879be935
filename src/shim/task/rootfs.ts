// SPDX-License-Identifier: Apache-2.0
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";

/** A mount of the Task API. */
export interface TaskMount {
  type: string;
  source: string;
  options: readonly string[];
}

/** Files that make up a container's root file system, as disks of the guest. */
export interface RootfsDisks {
  /** EROFS images, the bottom layer first. */
  layers: string[];
  /** An ext4 disk that takes what the container writes. */
  scratch: string | undefined;
}

/**
 * Reads the mounts of a Create: EROFS images, and at most one writable ext4 disk.
 * @throws ROOTFS_UNSUPPORTED, naming the mount
 */
export function rootfsDisks(mounts: readonly TaskMount[]): RootfsDisks {
  const layers: string[] = [];
  let scratch: string | undefined;
  for (const { type, source, options } of mounts) {
    if (!isAbsolute(source)) throw unsupported(`the source of the ${type} mount is "${source}"`);
    const isWritable = options.includes("rw") && !options.includes("ro");
    if (type === "erofs") layers.push(source);
    else if (type === "ext4" && isWritable && scratch === undefined) scratch = source;
    else throw unsupported(`it has a mount of type ${type} (${source})`);
  }
  if (layers.length === 0) throw unsupported("it has no EROFS image");
  return { layers, scratch };
}

function unsupported(why: string): MukonError {
  return new MukonError(
    "ROOTFS_UNSUPPORTED",
    `the container's root file system cannot be had in the guest: ${why}`,
    {
      hint: "mukon takes EROFS images and one writable ext4 disk; see containerd's erofs snapshotter",
    },
  );
}
