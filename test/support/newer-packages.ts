// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { prepareApt, refreshIndex } from "../../guest/image/apt.ts";
import { findArchive } from "../../guest/image/archive.ts";
import { fetchPackage, resolvePackages, unpackPackage } from "../../guest/image/packages.ts";
import { withLock } from "../../src/linux/lock.ts";

const TIMEOUT_MS = 600_000;

/**
 * Packages of the guest's Debian release, with all that they need, unpacked and not installed: nothing of
 * theirs is started, or found by anybody else. Made once; takes half a minute then.
 * @param directory a place of its own, which is made
 * @returns where they are unpacked to
 */
export async function newerPackages(directory: string, names: readonly string[]): Promise<string> {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const tree = join(directory, "tree");
  await withLock(
    join(directory, ".lock"),
    async () => {
      if (!existsSync(tree)) await unpack(directory, names, tree);
    },
    { timeoutMs: TIMEOUT_MS },
  );
  return tree;
}

async function unpack(directory: string, names: readonly string[], tree: string): Promise<void> {
  const work = join(directory, ".new");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { mode: 0o755 });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const apt = await prepareApt(join(directory, "packages"), await findArchive(), signal);
  await refreshIndex(apt, () => {});
  for (const wanted of await resolvePackages(apt, names)) {
    await unpackPackage(await fetchPackage(apt, wanted, () => {}), work, signal);
  }
  rmSync(apt.directory, { recursive: true });
  renameSync(work, tree);
}
