// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { newContainerName } from "./identifier.ts";
import { bundlePaths, bundlesDirectory, namesDirectory } from "./paths.ts";
import { type ContainerRecord, readRecord } from "./record.ts";
import { removeScratchDisk } from "./scratch.ts";

/** How many random names are tried before the first one gets a number. */
const NAME_ATTEMPTS = 20;

/** Makes the bundle's directory, root-only. */
export function createBundleDirectory(id: string): void {
  mkdirSync(bundlesDirectory(), { recursive: true, mode: 0o700 });
  mkdirSync(bundlePaths(id).directory, { mode: 0o700 });
}

/** Removes the bundle and gives its name back. Nothing may run in it any more. */
export function removeBundle(id: string, name: string | undefined): void {
  if (name !== undefined) releaseName(name, id);
  removeScratchDisk(id);
  rmSync(bundlePaths(id).directory, { recursive: true, force: true });
}

/**
 * Gives `name` (or a random one) to container `id`.
 * @throws CONTAINER_NAME_IN_USE
 */
export function claimName(id: string, name: string | undefined): string {
  mkdirSync(namesDirectory(), { recursive: true, mode: 0o700 });
  if (name !== undefined) {
    if (tryClaim(name, id)) return name;
    throw new MukonError(
      "CONTAINER_NAME_IN_USE",
      `the name ${name} is taken by another container`,
      {
        hint: `choose another --name, or remove that one: mukon rm --force ${name}`,
      },
    );
  }
  for (let attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
    const candidate = newContainerName();
    if (tryClaim(candidate, id)) return candidate;
  }
  const unique = `container-${id}`;
  tryClaim(unique, id);
  return unique;
}

function tryClaim(name: string, id: string): boolean {
  const file = join(namesDirectory(), name);
  for (const _attempt of [1, 2]) {
    try {
      writeName(file, id);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (!dropStaleName(file)) return false;
    }
  }
  return false;
}

/** A name that was not written wholly, on a full disk, would be nobody's for ever. */
function writeName(file: string, id: string): void {
  const descriptor = openSync(file, "wx", 0o600);
  try {
    writeSync(descriptor, id);
  } catch (error) {
    unlinkSync(file);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** A name whose bundle is gone (its owner was killed while removing it) is free again. */
function dropStaleName(file: string): boolean {
  const owner = readFileSync(file, "utf8");
  if (containerIds().includes(owner)) return false;
  rmSync(file, { force: true });
  return true;
}

function releaseName(name: string, id: string): void {
  const file = join(namesDirectory(), name);
  try {
    if (readFileSync(file, "utf8") === id) unlinkSync(file);
  } catch {
    // The name was given back before.
  }
}

/** Ids of all containers, running or ended. */
export function containerIds(): string[] {
  try {
    return readdirSync(bundlesDirectory()).sort();
  } catch {
    return [];
  }
}

/** Every container whose record is whole, oldest first. */
export function listContainers(): ContainerRecord[] {
  const records: ContainerRecord[] = [];
  for (const id of containerIds()) {
    try {
      records.push(readRecord(id));
    } catch {
      // Being made or being removed at this moment; `mukon gc` takes care of damaged ones.
    }
  }
  return records.sort((a, b) => a.createdAt.localeCompare(b.createdAt));
}

/**
 * The container with this name, id, or unambiguous beginning of an id.
 * @throws CONTAINER_NOT_FOUND, CONTAINER_AMBIGUOUS
 */
export function findContainer(nameOrId: string): ContainerRecord {
  const all = listContainers();
  const exact = all.find((record) => record.name === nameOrId || record.id === nameOrId);
  if (exact !== undefined) return exact;
  const matches = all.filter((record) => nameOrId !== "" && record.id.startsWith(nameOrId));
  if (matches.length === 1 && matches[0] !== undefined) return matches[0];
  if (matches.length > 1) {
    throw new MukonError(
      "CONTAINER_AMBIGUOUS",
      `${matches.length} containers have an id that begins with ${nameOrId}`,
      {
        hint: "give more digits of the id, or the name",
      },
    );
  }
  throw new MukonError("CONTAINER_NOT_FOUND", `there is no container ${JSON.stringify(nameOrId)}`, {
    hint: "mukon ps --all lists them",
  });
}
