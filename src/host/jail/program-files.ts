// SPDX-License-Identifier: Apache-2.0
import { realpathSync, type Stats, statSync } from "node:fs";
import { dirname, isAbsolute } from "node:path";
import { run } from "../../linux/run.ts";
import { readExecutable } from "./executable.ts";
import { recallFiles, rememberFiles } from "./files-cache.ts";

/** Where the loader looks for libraries; without it, only in the usual directories. */
const LOADER_CACHE = "/etc/ld.so.cache";
/** User and group "nobody": the loader maps files, and runs nothing of them. */
const NOBODY = "65534";
const TIMEOUT_MS = 10_000;
/** A script that names "/", "/usr" or "/etc" is not meant to show it. */
const MIN_DIRECTORY_DEPTH = 2;
/** A jail has its own, whatever a script reads there. */
const OF_KERNEL = /^\/(?:proc|sys|dev)(?:\/|$)/;

/**
 * What a program needs to run: itself, its loader, its libraries. Of a script, its interpreter and
 * all that it names by absolute path: files with what they need, and directories, but none right
 * below the root, and nothing of the kernel's. What is not there is left out; the program will say
 * what it misses.
 */
export async function programFiles(path: string): Promise<string[]> {
  const known = recallFiles(path, LOADER_CACHE);
  if (known !== undefined) return known;
  const found = new Set<string>();
  await collect(path, found);
  if (statOf(LOADER_CACHE)?.isFile() === true) found.add(LOADER_CACHE);
  const files = [...found];
  rememberFiles(path, LOADER_CACHE, files);
  return files;
}

async function collect(path: string, found: Set<string>): Promise<void> {
  const status = statOf(path);
  if (found.has(path) || status === undefined || OF_KERNEL.test(path)) return;
  if (status.isDirectory()) {
    if (realpathSync(path).split("/").length > MIN_DIRECTORY_DEPTH) found.add(path);
    return;
  }
  if (!status.isFile()) return;
  found.add(path);
  const executable = readExecutable(path);
  if (executable.kind === "script") {
    for (const named of executable.paths) await collect(named, found);
  } else if (executable.kind === "elf" && executable.loader !== undefined) {
    if (statOf(executable.loader)?.isFile() !== true) return;
    found.add(executable.loader);
    for (const library of await librariesOf(path, executable.loader)) found.add(library);
  }
}

async function librariesOf(path: string, loader: string): Promise<string[]> {
  const { stdout } = await run(
    [
      ...["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--nnp"],
      ...["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"],
      ...[loader, "--list", path],
    ],
    { allowFailure: true, timeoutMs: TIMEOUT_MS, env: {} },
  );
  return parseLibraries(stdout).filter((library) => statOf(library)?.isFile() === true);
}

/** Of the text that `ld.so --list` prints: `libc.so.6 => /lib/libc.so.6 (0x7f…)`. */
export function parseLibraries(text: string): string[] {
  return [...text.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)]
    .map(([, path]) => path ?? "")
    .filter(isAbsolute);
}

/** Real directories of the libraries among `files`, each once: /lib is a link to /usr/lib. */
export function libraryDirectories(files: readonly string[]): string[] {
  const libraries = files.filter((file) => /\.so(\.|$)/.test(file));
  const directories = new Set(libraries.map((file) => dirname(file)));
  return [...new Set([...directories].map((directory) => realpathSync(directory)))];
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
