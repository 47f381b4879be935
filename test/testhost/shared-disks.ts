// SPDX-License-Identifier: Apache-2.0
import { mkdir, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { guestDirectory } from "../../src/linux/paths.ts";
import { run } from "../../src/linux/run.ts";
import { TestHostError } from "./error.ts";
import { SHARED_DISK_BYTES, SPARE_DISK_BYTES } from "./machine.ts";

export const REPOSITORY = join(import.meta.dirname, "..", "..");
/** Development tools that no test runs in the host. */
const LEFT_OUT = [".git", "node_modules/@biomejs", "node_modules/@bufbuild/buf-linux-x64"];
const LEFT_OUT_PATTERN = "^node_modules/@typescript/";

export interface SharedDisks {
  checkout: string;
  guest: string;
  spare: string;
}

/** Where the disks of a host lie; the same when they are blank, as a snapshot is taken. */
export function sharedDiskPaths(directory: string): SharedDisks {
  const path = (name: string): string => join(directory, `${name}.img`);
  return { checkout: path("checkout"), guest: path("guest"), spare: path("spare") };
}

export async function writeBlankDisks(paths: SharedDisks): Promise<void> {
  // By name: whatever else an argument may hold must not be emptied.
  for (const path of [paths.checkout, paths.guest, paths.spare]) await writeFile(path, "");
  await padDisks(paths);
}

/** Images of the checkout as it is now, with its npm packages and programs, and of the guest. */
export async function writeSharedDisks(paths: SharedDisks): Promise<void> {
  await writeBlankDisks(paths);
  const excluded = LEFT_OUT.map((path) => `--exclude-path=${path}`);
  excluded.push(`--exclude-regex=${LEFT_OUT_PATTERN}`);
  await makeImage(paths.checkout, REPOSITORY, excluded);
  const guest = guestDirectory();
  await mkdir(guest, { recursive: true, mode: 0o711 });
  await makeImage(paths.guest, guest, []);
  await padDisks(paths);
}

async function makeImage(path: string, directory: string, options: string[]): Promise<void> {
  await truncate(path, 0);
  await run(["mkfs.erofs", "--quiet", "-x-1", ...options, path, directory]);
  const { size } = await stat(path);
  if (size <= SHARED_DISK_BYTES) return;
  throw new TestHostError(`${directory} does not fit on a disk of ${SHARED_DISK_BYTES} bytes`, {
    hint: "remove what does not belong there; the disk's size is part of the snapshot",
  });
}

/** The size of a disk is part of a snapshot, its content is not. */
async function padDisks(paths: SharedDisks): Promise<void> {
  await truncate(paths.checkout, SHARED_DISK_BYTES);
  await truncate(paths.guest, SHARED_DISK_BYTES);
  await truncate(paths.spare, SPARE_DISK_BYTES);
}
