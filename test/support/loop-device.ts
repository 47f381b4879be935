// SPDX-License-Identifier: Apache-2.0
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { run } from "../../src/linux/run.ts";

/** An image that root alone may open, empty or with an ext4 file system. */
export async function diskImage(
  path: string,
  options: { mebibytes: number; isFormatted: boolean },
): Promise<string> {
  writeFileSync(path, "", { mode: 0o600 });
  truncateSync(path, options.mebibytes * 2 ** 20);
  if (options.isFormatted) await run(["mkfs.ext4", "-q", "-F", path]);
  return path;
}

/** A block device whose contents are those of a file; undefined where the host has none free. */
export async function loopDevice(image: string): Promise<string | undefined> {
  try {
    return (await run(["losetup", "--find", "--show", image])).stdout.trim();
  } catch {
    return undefined;
  }
}

export async function freeLoopDevice(device: string): Promise<void> {
  await run(["losetup", "--detach", device]);
}

/** All that somebody who loosens permissions would change. */
export function permissionsOf(path: string): unknown {
  const { mode, uid, gid } = statSync(path);
  // With an access list, the group's bits are its mask.
  return { path, mode, uid, gid };
}
