// SPDX-License-Identifier: Apache-2.0
import { chown, copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";
import { type Apt, GUEST_RELEASE, runApt } from "./apt.ts";
import { sha256OfFile } from "./hashes.ts";

/** A package as the signed index describes it. */
export interface DebianPackage {
  name: string;
  version: string;
  sha256: string;
}

const DOWNLOAD_TIMEOUT_MS = 15 * 60 * 1000;
const KERNEL_METAPACKAGE = "linux-image-cloud-amd64";

/** The newest cloud kernel of the release: the package that the metapackage depends on. */
export async function resolveKernel(apt: Apt): Promise<DebianPackage> {
  const text = await runApt(apt, ["apt-cache", "depends", KERNEL_METAPACKAGE]).catch(() => "");
  const name = /Depends: (linux-image-[0-9][a-z0-9.+~-]*-cloud-amd64)$/m.exec(text)?.[1];
  if (name === undefined) throw packageMissing(KERNEL_METAPACKAGE);
  const [kernel] = await describePackages(apt, [name]);
  if (kernel === undefined) throw packageMissing(name);
  return kernel;
}

/** `names` and everything they need, in the order of their names. */
export async function resolvePackages(
  apt: Apt,
  names: readonly string[],
): Promise<DebianPackage[]> {
  const argv = ["apt-get", "install", "--simulate", "-qq", "--no-install-recommends", ...names];
  const text = await runApt(apt, argv).catch((cause: unknown) => {
    throw packageMissing(names.join(", "), cause);
  });
  const chosen = [...text.matchAll(/^Inst (\S+) \((\S+) /gm)].map(
    (match) => `${match[1]}=${match[2]}`,
  );
  return describePackages(apt, chosen);
}

async function describePackages(apt: Apt, names: readonly string[]): Promise<DebianPackage[]> {
  const text = await runApt(apt, ["apt-cache", "show", "--no-all-versions", ...names]);
  const packages = parseStanzas(text);
  return packages.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Reads the stanzas of a package index; those without a hash are left out. */
export function parseStanzas(text: string): DebianPackage[] {
  return text.split(/\n\n+/).flatMap((stanza) => {
    const field = (key: string): string | undefined =>
      new RegExp(`^${key}: (\\S+)$`, "m").exec(stanza)?.[1];
    const [name, version, hash] = [field("Package"), field("Version"), field("SHA256")];
    if (name === undefined || version === undefined || hash === undefined) return [];
    return [{ name, version, sha256: hash.toLowerCase() }];
  });
}

/**
 * The path of the package's file: the one already there when its hash is right, else downloaded.
 * apt checks the index's signature; the hash is checked again here, since files may be old.
 * @throws MukonError GUEST_PACKAGE_CORRUPT
 */
export async function fetchPackage(
  apt: Apt,
  wanted: DebianPackage,
  log: (line: string) => void,
): Promise<string> {
  const path = join(apt.directory, `${wanted.name}_${wanted.sha256}.deb`);
  if ((await sha256OfFile(path).catch(() => "")) === wanted.sha256) return path;
  log(`Downloading ${wanted.name} ${wanted.version}`);
  const downloaded = await download(apt, wanted);
  // A copy that is root's own: what is checked is what is used.
  const temporary = `${path}.new`;
  await copyFile(downloaded, temporary);
  await rm(downloaded);
  const found = await sha256OfFile(temporary);
  if (found !== wanted.sha256) {
    await rm(temporary);
    throw new MukonError(
      "GUEST_PACKAGE_CORRUPT",
      `${basename(downloaded)} has SHA-256 ${found}, and the signed index says ${wanted.sha256}.`,
      { hint: "Run `mukon guest build` again; if it stays, the mirror is broken." },
    );
  }
  await rename(temporary, path);
  return path;
}

/** Downloads into a folder of apt's unprivileged user, so that the network is not read as root. */
async function download(apt: Apt, wanted: DebianPackage): Promise<string> {
  const directory = join(apt.directory, "downloads");
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory);
  const { code, stdout } = await run(["id", "-u", "_apt"], { allowFailure: true });
  if (code === 0) await chown(directory, Number(stdout), 0);
  const argv = ["apt-get", "download", "-qq", `${wanted.name}=${wanted.version}`];
  await runApt(apt, argv, { cwd: directory, timeoutMs: DOWNLOAD_TIMEOUT_MS });
  const [file] = (await readdir(directory)).filter((name) => name.endsWith(".deb"));
  if (file === undefined) throw packageMissing(wanted.name);
  return join(directory, file);
}

/** Removes apt's caches, and the files of packages that the newest build did not use. */
export async function tidyPackages(apt: Apt, used: readonly DebianPackage[]): Promise<void> {
  const keep = new Set(used.map(({ name, sha256 }) => `${name}_${sha256}.deb`));
  for (const name of ["archives", "downloads"]) {
    await rm(join(apt.directory, name), { recursive: true, force: true });
  }
  for (const name of await readdir(apt.directory)) {
    if (/\.deb(\.new)?$/.test(name) && !keep.has(name)) await rm(join(apt.directory, name));
  }
}

/** Unpacks a package's files, and only those: no script of it is run. */
export async function unpackPackage(
  path: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  await run(["dpkg-deb", "--extract", path, directory], { signal });
}

function packageMissing(names: string, cause?: unknown): MukonError {
  return new MukonError(
    "GUEST_PACKAGE_MISSING",
    `The archive of Debian ${GUEST_RELEASE} does not offer: ${names}.`,
    { hint: "Check that the mirror in /etc/apt carries the newest stable release.", cause },
  );
}
