// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  ATTRIBUTE_NO_DEVICES,
  ATTRIBUTE_NO_SUID,
  ATTRIBUTE_READ_ONLY,
  bindMount,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  makeMountsPrivate,
  mountFileSystem,
  pivotRootHere,
  restrictMounts,
} from "../../linux/mount-calls.ts";
import { unmount } from "../../linux/mounts.ts";
import { step } from "./step.ts";
import { type Jail, TOOL_DIRECTORY } from "./types.ts";

/** Exists everywhere, and nothing that a jail shows lies below it. */
const SITE = "/sys";

/**
 * Makes the jail's root that of the calling thread, whose mount namespace must be its own, and
 * lets go of the host's.
 * @throws JAIL_NOT_BUILT
 */
export function buildRoot(jail: Jail, tool: string): void {
  step("make mounts private", makeMountsPrivate);
  step("mount the root", () =>
    mountFileSystem("tmpfs", SITE, { flags: MS_NOSUID | MS_NODEV, data: "mode=0755,size=1m" }),
  );
  step("mount /proc", () => {
    mkdirSync(join(SITE, "proc"));
    // It numbers processes as the host does: who mounts it is not in the new pid namespace.
    mountFileSystem("proc", join(SITE, "proc"), {
      flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
      data: "subset=pid,hidepid=invisible",
    });
  });
  for (const path of outermost(jail.paths)) step(`show ${path}`, () => show(path));
  step(`show ${tool}`, () => {
    mkdirSync(join(SITE, TOOL_DIRECTORY), { mode: 0o700 });
    show(tool, join(TOOL_DIRECTORY, basename(tool)));
  });
  // Before the devices, which could not be opened any more.
  const attributes = ATTRIBUTE_READ_ONLY | ATTRIBUTE_NO_SUID;
  step("make it read-only", () => {
    mkdirSync(join(SITE, "dev"), { recursive: true });
    for (const device of jail.devices) writeFileSync(join(SITE, device), "");
    restrictMounts(SITE, attributes | ATTRIBUTE_NO_DEVICES);
  });
  for (const device of jail.devices) {
    step(`show ${device}`, () => {
      bindMount(device, join(SITE, device));
      restrictMounts(join(SITE, device), attributes);
    });
  }
  step("leave the host's root", leaveOldRoot);
}

function leaveOldRoot(): void {
  process.chdir(SITE);
  pivotRootHere();
  // Not by way of /proc, without which the tools fail to do it and say nothing.
  if (!unmount(".", { lazy: true })) throw new Error("it is still there");
}

/** Each path that is not below another one. */
export function outermost(paths: readonly string[]): string[] {
  const all = new Set(paths);
  const isCovered = (path: string): boolean =>
    path !== "/" && (all.has(dirname(path)) || isCovered(dirname(path)));
  return [...all].filter((path) => !isCovered(path));
}

function show(path: string, at = path): void {
  const target = join(SITE, at);
  if (statSync(path).isDirectory()) {
    mkdirSync(target, { recursive: true });
  } else {
    mkdirSync(dirname(target), { recursive: true });
    if (!existsSync(target)) writeFileSync(target, "");
  }
  bindMount(path, target);
}
