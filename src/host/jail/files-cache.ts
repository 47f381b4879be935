// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { runRoot } from "../../linux/paths.ts";
import { ensureRootOnlyDirectory } from "../run-directories.ts";

interface Remembered {
  program: string;
  loaderCache: string;
  /** Path and identity. */
  files: [string, string][];
}

/** What was found for a program before; undefined when it, or any of it, has changed since. */
export function recallFiles(program: string, loaderCache: string): string[] | undefined {
  try {
    const known = JSON.parse(readFileSync(cachePath(program), "utf8")) as Remembered;
    const isSame =
      known.program === program &&
      known.loaderCache === identityOf(loaderCache) &&
      known.files.every(([path, identity]) => identity === identityOf(path));
    return isSame ? known.files.map(([path]) => path) : undefined;
  } catch {
    // Nothing there, or of another version: it is found out again.
    return undefined;
  }
}

export function rememberFiles(program: string, loaderCache: string, files: string[]): void {
  const known: Remembered = {
    program,
    loaderCache: identityOf(loaderCache),
    files: files.map((path) => [path, identityOf(path)]),
  };
  try {
    ensureRootOnlyDirectory(cacheDirectory());
    writeFileAtomic(cachePath(program), JSON.stringify(known), { mode: 0o600 });
  } catch {
    // A place that cannot be written costs time at the next launch, and nothing else.
  }
}

function cacheDirectory(): string {
  return join(runRoot(), "jails");
}

function cachePath(program: string): string {
  return join(cacheDirectory(), `${createHash("sha256").update(program).digest("hex")}.json`);
}

/** Which file it is, and of when; "-" when it is not there. */
function identityOf(path: string): string {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return "-";
  const { dev, ino, size, mtimeNs, ctimeNs } = status;
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}
