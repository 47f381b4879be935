// SPDX-License-Identifier: Apache-2.0
import { chownSync, existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  AT_RECURSIVE,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_PRIVATE,
  MS_REC,
  MS_SLAVE,
  mount,
  pivotRootHere,
  setMountAttributes,
} from "../../linux/mount-calls.ts";
import { mountTmpfs } from "../../linux/mount-tree.ts";
import { unmount } from "../../linux/mounts.ts";
import { dropTool } from "../launcher/tools.ts";
import { mountProcesses } from "./mount-processes.ts";
import { step } from "./step.ts";
import { JAIL_ROOT, type Jail, TOOL_PATH } from "./types.ts";

/** Where the root of the mount namespace is put together: it is there on every host. */
const OUTSIDE = "/sys";
const SITE = join(OUTSIDE, JAIL_ROOT);

/**
 * Makes the jail's root that of the calling thread, whose mount namespace must be its own, and
 * lets go of the host's. The children that it starts must be in the jail's pid namespace.
 * @throws JAIL_NOT_BUILT
 */
export function buildRoot(jail: Jail): void {
  // Not private yet: what is shared is to go on hearing of the host's mounts.
  step("take its mounts apart", () => mount("none", "/", null, MS_REC | MS_SLAVE, null));
  step("mount its root", () => {
    mountTmpfs(OUTSIDE, "mode=0700,size=64k");
    mkdirSync(SITE);
    mountTmpfs(SITE, "mode=0755,size=1m");
  });
  for (const path of outermost(jail.paths)) step(`show ${path}`, () => show(path));
  step("show its last tool", () => showTool(jail.toolOwner ?? 0));
  step("make room for its devices", () => {
    mkdirSync(join(SITE, "dev"), { recursive: true });
    for (const device of jail.devices) writeFileSync(join(SITE, device), "");
  });
  step("mount /proc", () => mountProc(jail));
  if (jail.shared !== undefined) mkdirSync(join(SITE, jail.shared.at));
  step("make it read-only", () => restrict(OUTSIDE, MOUNT_ATTR_NODEV, AT_RECURSIVE));
  // Last: on a mount without devices they could not be opened, and what is shared may be written to.
  for (const device of jail.devices) step(`show ${device}`, () => showDevice(device));
  if (jail.shared !== undefined) step("show what is shared", () => showShared(jail));
  step("leave the host's root", leaveOldRoot);
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
  // What is mounted below it is left out.
  mount(path, target, null, MS_BIND, null);
}

function mountProc({ isProcWhole }: Jail): void {
  const target = join(SITE, "proc");
  mkdirSync(target);
  mountProcesses(target, { isWhole: isProcWhole === true });
}

function showTool(owner: number): void {
  const directory = join(SITE, dirname(TOOL_PATH));
  mkdirSync(directory, { mode: 0o700 });
  chownSync(directory, owner, owner);
  show(dropTool(), TOOL_PATH);
}

function showDevice(device: string): void {
  const target = join(SITE, device);
  mount(device, target, null, MS_BIND, null);
  restrict(target, MOUNT_ATTR_NOEXEC, 0);
}

function showShared({ shared }: Jail): void {
  if (shared === undefined) return;
  const target = join(SITE, shared.at);
  mount(shared.directory, target, null, MS_BIND | MS_REC, null);
  const set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  setMountAttributes({ path: target, flags: 0 }, { set });
}

function restrict(path: string, set: number, flags: number): void {
  setMountAttributes(
    { path, flags },
    { set: set | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, propagation: MS_PRIVATE },
  );
}

function leaveOldRoot(): void {
  process.chdir(OUTSIDE);
  pivotRootHere();
  // Not by way of /proc, without which the tools fail to do it and say nothing.
  if (!unmount(".", { lazy: true })) throw new Error("it is still there");
}
