// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { SystemCallError, systemCall } from "./system-call.ts";

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

const umount2 = systemCall("int umount2(const char *target, int flags)");

export interface Mount {
  mountPoint: string;
  fileSystem: string;
  source: string;
  options: string[];
  /** Of the file system itself, wherever it is mounted. */
  superOptions: string[];
}

/** Mounts of this process' namespace, as in /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function listMounts(text = readFileSync("/proc/self/mountinfo", "utf8")): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [left, right] = line.split(" - ");
    const mountPoint = left?.split(" ")[4];
    const [fileSystem, source, superOptions = ""] = right?.split(" ") ?? [];
    if (mountPoint === undefined || fileSystem === undefined || source === undefined) continue;
    const options = left?.split(" ")[5]?.split(",") ?? [];
    mounts.push({
      mountPoint: unescapeOctal(mountPoint),
      fileSystem,
      source: unescapeOctal(source),
      options,
      superOptions: superOptions.split(","),
    });
  }
  return mounts;
}

/**
 * Unmounts; false when nothing was mounted there. Lazy: it goes once nobody uses it. A symbolic
 * link is not followed, as it may lead to somebody else's mount.
 */
export function unmount(path: string, options: { lazy?: boolean } = {}): boolean {
  try {
    umount2(path, UMOUNT_NOFOLLOW | (options.lazy === true ? MNT_DETACH : 0));
    return true;
  } catch (error) {
    const name = error instanceof SystemCallError ? error.errorName : "";
    if (name === "EINVAL" || name === "ENOENT") return false;
    throw error;
  }
}

/** Blanks and backslashes are written in octal. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_match, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
