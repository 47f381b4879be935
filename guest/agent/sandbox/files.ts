// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { access, constants, lstat } from "node:fs/promises";
import { join } from "node:path";
import type { Infer } from "../protobuf/field.ts";
import type { Mount } from "../schema/oci.ts";

export const SANDBOX_DIRECTORY = "/run/kata-containers/sandbox";

type MountSpec = Infer<typeof Mount>;

/**
 * Files that every container of the pod sees, unless its spec mounts something else there. In memory, as all
 * that the agent writes without a thread of its own, which would cost more than the writing.
 */
export function writeSandboxFiles(
  hostname: string,
  dns: readonly string[],
  directory = SANDBOX_DIRECTORY,
): void {
  mkdirSync(directory, { recursive: true });
  if (dns.length > 0) writeFileSync(join(directory, "resolv.conf"), `${dns.join("\n")}\n`);
  if (hostname === "") return;
  writeFileSync(join(directory, "hostname"), `${hostname}\n`);
  writeFileSync(join(directory, "hosts"), hostsFile(hostname));
}

export function removeSandboxFiles(directory = SANDBOX_DIRECTORY): void {
  rmSync(directory, { recursive: true, force: true });
}

export function hostsFile(hostname: string): string {
  return `127.0.0.1\tlocalhost\n127.0.1.1\t${hostname}\n::1\tlocalhost ip6-localhost\n`;
}

/**
 * Bind mounts of those files. A root that cannot be written to must have the mount point already;
 * without it the file is left out, since a container without it is better than none.
 */
export async function sandboxFileMounts(
  rootPath: string,
  mounts: readonly MountSpec[],
  directory = SANDBOX_DIRECTORY,
): Promise<MountSpec[]> {
  const found: MountSpec[] = [];
  for (const name of ["resolv.conf", "hostname", "hosts"]) {
    const destination = `/etc/${name}`;
    const source = join(directory, name);
    if (mounts.some((mount) => mount.destination === destination)) continue;
    if (!(await exists(source)) || !(await canMountOn(rootPath, destination))) continue;
    found.push({ destination, source, type: "bind", options: ["bind", "rw"] });
  }
  return found;
}

async function canMountOn(rootPath: string, destination: string): Promise<boolean> {
  if (await exists(join(rootPath, destination))) return true;
  try {
    await access(rootPath, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch {
    return false;
  }
}
