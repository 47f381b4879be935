// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { join } from "node:path";
import { imagesDirectory } from "../../linux/paths.ts";

// <state>/images/
//   content/<image id>/{root.erofs,image.json}   renamed into place whole, never changed
//   references/<hash of the reference>.json      which content a reference stands for
//   work/<pid>-<start time>-<random>/            pulls under way
//   locks/

/** All that belongs to one image id (`sha256:…`). */
export function contentDirectory(imageId: string): string {
  return join(contentsDirectory(), hexOf(imageId));
}

export function contentsDirectory(): string {
  return join(imagesDirectory(), "content");
}

export function rootImagePath(imageId: string): string {
  return join(contentDirectory(imageId), ROOT_IMAGE_NAME);
}

export const ROOT_IMAGE_NAME = "root.erofs";
export const IMAGE_RECORD_NAME = "image.json";

export function referencesDirectory(): string {
  return join(imagesDirectory(), "references");
}

export function referencePath(reference: string): string {
  return join(referencesDirectory(), `${sha256Hex(reference)}.json`);
}

export function workDirectory(): string {
  return join(imagesDirectory(), "work");
}

/**
 * The file to lock for a name. Names share 256 files, or the locks would pile up; at worst, one
 * pull waits for another of another name.
 */
export function lockPath(purpose: "reference" | "content", name: string): string {
  return join(locksDirectory(), `${purpose}-${sha256Hex(name).slice(0, 2)}`);
}

/** Held for the moment of each change of the store. */
export function storeLockPath(): string {
  return join(locksDirectory(), "store");
}

export function locksDirectory(): string {
  return join(imagesDirectory(), "locks");
}

export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hexOf(imageId: string): string {
  return imageId.replace(/^sha256:/, "");
}
