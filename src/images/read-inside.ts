// SPDX-License-Identifier: Apache-2.0
import { lstatSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { readBounded } from "./read-bounded.ts";

/** As many links as the kernel follows (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Reads a file of an unpacked image as a process of the image would see it: links, absolute ones
 * too, start at `root`, and `..` stops there. Nothing may change the tree meanwhile. Undefined
 * when there is no such regular file, or when it is longer than `maxBytes`.
 */
export function readInside(root: string, path: string, maxBytes: number): Buffer | undefined {
  const resolved = resolveInside(root, path);
  return resolved === undefined ? undefined : readBounded(join(root, resolved), maxBytes);
}

/** The path below `root` where `path` leads, free of links; undefined when there is nothing. */
export function resolveInside(root: string, path: string): string | undefined {
  const pending = words(path);
  const resolved: string[] = [];
  let links = 0;
  for (let word = pending.shift(); word !== undefined; word = pending.shift()) {
    if (word === "..") {
      resolved.pop();
      continue;
    }
    const target = linkTarget(join(root, ...resolved, word));
    if (target === undefined) return undefined;
    if (target === "") {
      resolved.push(word);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    if (target.startsWith("/")) resolved.length = 0;
    pending.unshift(...words(target));
  }
  return resolved.join("/");
}

/** "" for what is no link, undefined for what is not there. */
function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : "";
  } catch {
    return undefined;
  }
}

function words(path: string): string[] {
  return path.split("/").filter((word) => word !== "" && word !== ".");
}
