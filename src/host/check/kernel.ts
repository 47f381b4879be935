// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from "node:fs";
import { listMounts } from "../../linux/mounts.ts";
import type { CheckResult } from "./types.ts";

/** User namespaces: image layers are unpacked in one, so that they cannot write anywhere else. */
export function checkUserNamespaces(
  readLimit: () => string | undefined = () => readText("/proc/sys/user/max_user_namespaces"),
): CheckResult {
  const name = "user-namespaces";
  const limit = readLimit();
  if (limit === undefined) {
    const message = "this kernel has no user namespaces";
    return { name, status: "failed", message, remedy: "run a kernel with CONFIG_USER_NS" };
  }
  if (Number(limit) === 0) {
    return {
      name,
      status: "failed",
      message: "user namespaces are switched off",
      remedy: "sysctl user.max_user_namespaces=15000, and keep it in /etc/sysctl.d",
    };
  }
  return { name, status: "ok", message: `up to ${Number(limit)}` };
}

/** A seccomp filter is part of the VMM's walls: without one, pods do not start. */
export function checkSeccomp(
  readStatus: () => string | undefined = () => readText("/proc/self/status"),
): CheckResult {
  const name = "seccomp";
  if (/^Seccomp:\s/m.test(readStatus() ?? "")) {
    return { name, status: "ok", message: "filters can be used" };
  }
  const message = "this kernel has no seccomp, and a VMM without it is not started";
  return { name, status: "failed", message, remedy: "run a kernel with CONFIG_SECCOMP_FILTER" };
}

/** Which control groups the host has. */
export function checkCgroup(mounts = listMounts()): CheckResult {
  const name = "cgroup";
  const types = new Map(mounts.map(({ mountPoint, fileSystem }) => [mountPoint, fileSystem]));
  if (types.get("/sys/fs/cgroup") === "cgroup2") {
    return { name, status: "ok", message: "version 2" };
  }
  if ([...types.values()].some((type) => type === "cgroup" || type === "cgroup2")) {
    return {
      name,
      status: "warning",
      message: "version 1: limits of pods hold inside their VM, not for the VMM on this host",
      remedy: "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
    };
  }
  return {
    name,
    status: "warning",
    message: "no control groups are mounted; limits of pods hold inside their VM only",
    remedy: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
  };
}

/**
 * Processes are killed by pidfd, so that a pid used again is never hit: Linux 5.3. Jails have mounts
 * that are made read-only all at once, with mount_setattr(2): Linux 5.12.
 */
export function checkKernelRelease(
  release = readText("/proc/sys/kernel/osrelease") ?? "",
  hasProc = existsSync("/proc/self/ns/net"),
): CheckResult {
  const name = "kernel";
  const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
  const isNew = major > 5 || (major === 5 && minor >= 12);
  if (isNew && hasProc) return { name, status: "ok", message: release.trim() };
  return {
    name,
    status: "failed",
    message: `Linux ${release.trim()} lacks mount_setattr, which the jails of VMM and keeper are made with`,
    remedy: "run Linux 5.12 or later, with /proc mounted",
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
