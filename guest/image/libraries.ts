// SPDX-License-Identifier: Apache-2.0
import { basename, join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";

/** Where Debian's loader looks, inside of a root directory. */
export const LIBRARY_DIRECTORY = "usr/lib/x86_64-linux-gnu";
export const LOADER_NAME = "ld-linux-x86-64.so.2";
/** Debian's own Node is linked with libraries that only the host has in the right versions. */
const HOST_DIRECTORIES = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib"];

export interface LibraryQuery {
  programPath: string;
  /** The unpacked packages of the guest. */
  packagesPath: string;
  /** Whether libraries that no package of the guest holds may come from the host. */
  isHostProgram: boolean;
}

/**
 * The shared libraries that a program loads, as the guest's own loader finds them: soname → file.
 * The program is not run.
 * @throws MukonError GUEST_LIBRARY_MISSING also when a library is too old for the program
 */
export async function findLibraries(query: LibraryQuery): Promise<Map<string, string>> {
  const own = join(query.packagesPath, LIBRARY_DIRECTORY);
  const directories = query.isHostProgram ? [own, ...HOST_DIRECTORIES] : [own];
  const argv = [
    join(own, LOADER_NAME),
    "--inhibit-cache",
    "--library-path",
    directories.join(":"),
    "--list",
    query.programPath,
  ];
  const { code, stdout, stderr } = await run(argv, { allowFailure: true });
  const problem = /^.*(not found|cannot open|statically linked).*$/m.exec(stdout + stderr)?.[0];
  if (code !== 0 || problem !== undefined) {
    throw new MukonError(
      "GUEST_LIBRARY_MISSING",
      `${query.programPath} cannot run in the guest: ${problem?.trim() ?? stderr.trim()}`,
      { hint: "Use a Node that runs on Debian 12 or 13 (Debian's own, or the Node project's)." },
    );
  }
  return parseLibraries(stdout);
}

/** Reads the loader's lines `soname => path (address)`. */
export function parseLibraries(text: string): Map<string, string> {
  const libraries = new Map<string, string>();
  for (const [, soname, path] of text.matchAll(/^\s*(\S+) => (\/\S+) \(0x/gm)) {
    if (soname !== undefined && path !== undefined) libraries.set(basename(soname), path);
  }
  return libraries;
}
