// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { basename, join } from "node:path";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { directoryNames } from "../../linux/directory-names.ts";
import { stateRoot } from "../../linux/paths.ts";
import { run } from "../../linux/run.ts";
import { bundlePaths } from "./paths.ts";

const NAME = /^mukon-scratch-([0-9a-f]{12})\.img$/;

/** Where scratch disks are: not with the bundles, which are in memory. */
export function scratchDirectory(configured: string): string {
  return configured === "" ? join(stateRoot(), "scratch") : configured;
}

/**
 * Makes a sparse file with an empty ext4 file system: it takes room on disk only as it is written.
 * Its bundle has a link to it before it is there, so that whoever removes the one finds the other.
 */
export async function makeScratchDisk(
  id: string,
  bytes: number,
  directory: string,
): Promise<string> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, `mukon-scratch-${id}.img`);
  symlinkSync(path, bundlePaths(id).scratch);
  const descriptor = openSync(path, "wx", 0o600);
  try {
    ftruncateSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
  const options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0";
  try {
    await run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", options, path]);
  } catch (error) {
    throw isOutOfRoom(error) ? noRoom(directory, error) : error;
  }
  return path;
}

/** The program is run without a locale, so its words are these. */
function isOutOfRoom(error: unknown): boolean {
  return asMukonError(error).message.includes("No space left on device");
}

function noRoom(directory: string, cause: unknown): MukonError {
  return new MukonError(
    "DISK_FULL",
    `there is no space left on device for a disk in ${directory}`,
    {
      hint: "make room there, or set scratch_directory in [mukon] to a directory on a larger disk",
      cause,
    },
  );
}

/** No harm when the container has none. */
export function removeScratchDisk(id: string): void {
  let path: string;
  try {
    path = readlinkSync(bundlePaths(id).scratch);
  } catch {
    return;
  }
  if (NAME.exec(basename(path))?.[1] === id) rmSync(path, { force: true });
}

/**
 * Removes disks whose containers are gone: bundles do not outlive the machine, disks do.
 * Returns the paths of those removed.
 */
export function collectScratchDisks(directory: string, ids: readonly string[]): string[] {
  const orphans = directoryNames(directory).filter((name) => {
    const id = NAME.exec(name)?.[1];
    return id !== undefined && !ids.includes(id);
  });
  const paths = orphans.map((name) => join(directory, name));
  for (const path of paths) rmSync(path, { force: true });
  return paths;
}
