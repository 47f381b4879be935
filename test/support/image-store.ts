// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

/** Everything that the tests of images need, or the reason why they cannot run. */
export function whyImagesCannotBeTested(programs: readonly string[] = []): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  for (const program of ["skopeo", "umoci", "mkfs.erofs", ...programs]) {
    if (!isInstalled(program)) return `needs ${program}`;
  }
  return false;
}

/** A store and a place for inputs of their own, gone after the tests of the file. */
export function useImageStore(): { root: string; path: (name: string) => string } {
  const root = mkdtempSync(join(tmpdir(), "mukon-images-"));
  process.env.MUKON_STATE_ROOT = join(root, "state");
  process.env.MUKON_RUN_ROOT = join(root, "run");
  after(() => rmSync(root, { recursive: true, force: true }));
  return { root, path: (name) => join(root, name) };
}

/** Names in a directory of the store, such as "content" or "work". */
export function storeEntries(name: string): string[] {
  const path = join(process.env.MUKON_STATE_ROOT ?? "", "images", name);
  return existsSync(path) ? readdirSync(path).sort() : [];
}

/** Mounts an EROFS image read-only while `look` runs. */
export async function withMounted<Result>(
  image: string,
  look: (root: string) => Promise<Result> | Result,
): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), "mukon-erofs-"));
  execFileSync("mount", ["-t", "erofs", "-o", "loop,ro", image, directory]);
  try {
    return await look(directory);
  } finally {
    execFileSync("umount", [directory]);
    rmSync(directory, { recursive: true });
  }
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "")
    .split(":")
    .some((directory) => existsSync(join(directory, program)));
}
