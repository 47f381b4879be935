// SPDX-License-Identifier: Apache-2.0
import { chmod, lstat, readdir, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GUEST_FILES, type GuestManifest, MANIFEST_NAME, readManifest } from "./manifest.ts";

export const CURRENT_LINK = "current";
const GUEST_NAME = /^[0-9a-f]{32}$/;
const FILE_MODE = 0o444;

/** The guest among those in `root` that was made from the same inputs, if there is one. */
export async function findGuest(
  root: string,
  inputsHash: string,
): Promise<GuestManifest | undefined> {
  for (const name of await listGuests(root)) {
    const manifest = await readManifest(join(root, name)).catch(() => undefined);
    if (manifest?.inputsHash === inputsHash && manifest.contentHash === name) return manifest;
  }
  return undefined;
}

/**
 * Moves the finished files from `stagePath` to their place under `root` and makes them current.
 * Until the last rename, whoever opens the guest sees the former one, whole.
 */
export async function publishGuest(
  root: string,
  stagePath: string,
  manifest: GuestManifest,
): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  await writeFile(join(stagePath, MANIFEST_NAME), text);
  for (const name of [...Object.values(GUEST_FILES), MANIFEST_NAME]) {
    await chmod(join(stagePath, name), FILE_MODE);
  }
  await chmod(stagePath, 0o700);
  const target = join(root, manifest.contentHash);
  await rm(target, { recursive: true, force: true });
  await rename(stagePath, target);
  await selectGuest(root, manifest);
}

/** Points `current` at a guest and removes all but that and the one before it. */
export async function selectGuest(root: string, manifest: GuestManifest): Promise<void> {
  const linkPath = join(root, CURRENT_LINK);
  const former = await readlink(linkPath).catch(() => undefined);
  const newLink = join(root, `.${CURRENT_LINK}.new`);
  await rm(newLink, { force: true });
  await symlink(manifest.contentHash, newLink);
  await rename(newLink, linkPath);
  const keep = new Set([manifest.contentHash]);
  if (former !== manifest.contentHash) keep.add(former ?? "");
  else return;
  for (const name of await listGuests(root)) {
    // Whoever is starting a pod right now may still open the files of the former one.
    if (!keep.has(name)) await rm(join(root, name), { recursive: true, force: true });
  }
}

async function listGuests(root: string): Promise<string[]> {
  const names = (await readdir(root)).filter((name) => GUEST_NAME.test(name));
  const kept: string[] = [];
  for (const name of names) {
    if ((await lstat(join(root, name))).isDirectory()) kept.push(name);
  }
  return kept;
}
