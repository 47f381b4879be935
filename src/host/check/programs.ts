// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from "node:fs";
import { isAbsolute, join } from "node:path";
import { packageOf } from "../../linux/packages.ts";
import type { CheckResult } from "./types.ts";

const DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** What every pod needs. */
const NEEDED = [
  ...["unshare", "nsenter", "prlimit", "choom", "setpriv", "mount"],
  ...["getent", "useradd", "groupadd"],
];
/** What images and scratch disks need. */
const FOR_IMAGES = ["skopeo", "umoci", "mkfs.erofs", "mkfs.ext4"];

/** Whether all programs are there; names the packages of those that are not. */
export function checkPrograms(
  qemuPath: string,
  isThere: (program: string) => boolean = isInstalled,
): CheckResult {
  const name = "packages";
  const all = [qemuPath === "" ? "qemu-system-x86_64" : qemuPath, ...NEEDED, ...FOR_IMAGES];
  const missing = all.filter((program) => !isThere(program));
  if (missing.length === 0) return { name, status: "ok", message: "all programs are installed" };
  const packages = [...new Set(missing.map(packageOf).filter((item) => item !== undefined))];
  return {
    name,
    status: "failed",
    message: `not installed: ${missing.join(", ")}`,
    remedy:
      packages.length === 0
        ? "install them, or correct their paths in the configuration"
        : `apt-get install ${packages.join(" ")}`,
  };
}

function isInstalled(program: string): boolean {
  const paths = isAbsolute(program) ? [program] : DIRECTORIES.map((dir) => join(dir, program));
  return paths.some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
