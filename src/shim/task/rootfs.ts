// SPDX-License-Identifier: Apache-2.0
import { isAbsolute, resolve } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { OverlayLayers } from "../../host/shared-fs/overlay.ts";
import type { SharedBind } from "../../host/shared-fs/tree.ts";
import { mountedOverlay } from "./mounted-overlay.ts";
import { readOverlay } from "./overlay-options.ts";

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

/** How a container's root file system reaches the guest: as disks, or through virtio-fs. */
export type Rootfs =
  | ({ kind: "disks" } & RootfsDisks)
  | { kind: "disk"; path: string; readOnly: boolean }
  | { kind: "overlay"; overlay: OverlayLayers }
  | { kind: "bind"; bind: SharedBind };

/**
 * Reads the mounts of a Create: EROFS images with at most one writable ext4 disk, or one ext4 disk, or
 * one overlay, or one bind mount. Without any, the root file system is the directory that the bundle's spec names.
 * @throws ROOTFS_UNSUPPORTED, naming the mount
 */
export function planRootfs(
  mounts: readonly TaskMount[],
  bundle: { directory: string; rootPath: string | undefined },
): Rootfs {
  const [first, ...others] = mounts;
  if (first === undefined) return bundleRootfs(bundle);
  if (others.length > 0 || first.type === "erofs") return { kind: "disks", ...readDisks(mounts) };
  if (first.type === "ext4") {
    const [path, readOnly] = [absolute(first), first.options.includes("ro")];
    return { kind: "disk", path, readOnly };
  }
  if (first.type === "overlay") return { kind: "overlay", overlay: readOverlay(first) };
  const isBind = first.options.includes("bind") || first.options.includes("rbind");
  if (first.type === "bind" || isBind) return { kind: "bind", bind: readBind(first) };
  throw unsupported(`it has a mount of type ${first.type} (${first.source})`);
}

function bundleRootfs(bundle: { directory: string; rootPath: string | undefined }): Rootfs {
  if (bundle.rootPath === undefined || bundle.rootPath === "") {
    throw unsupported("neither the request nor the bundle's spec names one");
  }
  const source = resolve(bundle.directory, bundle.rootPath);
  const overlay = mountedOverlay(source);
  if (overlay !== undefined) return { kind: "overlay", overlay };
  return { kind: "bind", bind: { source, isReadOnly: false, isRecursive: true } };
}

function readBind({ source, options }: TaskMount): SharedBind {
  return {
    source: absolute({ type: "bind", source }),
    isReadOnly: options.includes("ro"),
    isRecursive: options.includes("rbind"),
  };
}

function readDisks(mounts: readonly TaskMount[]): RootfsDisks {
  const layers: string[] = [];
  let scratch: string | undefined;
  for (const { type, source, options } of mounts) {
    absolute({ type, source });
    const isWritable = options.includes("rw") && !options.includes("ro");
    if (type === "erofs") layers.push(source);
    else if (type === "ext4" && isWritable && scratch === undefined) scratch = source;
    else throw unsupported(`it has a mount of type ${type} (${source})`);
  }
  if (layers.length === 0) throw unsupported("it has no EROFS image");
  return { layers, scratch };
}

function absolute({ type, source }: Pick<TaskMount, "type" | "source">): string {
  if (isAbsolute(source)) return source;
  throw unsupported(`the source of the ${type} mount is "${source}"`);
}

function unsupported(why: string): MukonError {
  return new MukonError(
    "ROOTFS_UNSUPPORTED",
    `the container's root file system cannot be had in the guest: ${why}`,
    {
      hint: "mukon takes one overlay or bind mount (snapshotters overlayfs and native), EROFS images with one writable ext4 disk (snapshotter erofs), or one ext4 disk (snapshotter devmapper)",
    },
  );
}
