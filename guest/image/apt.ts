// SPDX-License-Identifier: Apache-2.0
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";
import type { DebianArchive } from "./archive.ts";

/** The release that the guest is made of, whatever the host runs: its kernel suits VMs best. */
export const GUEST_RELEASE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const INDEX_LIFETIME_MS = 12 * 60 * 60 * 1000;
const INDEX_TIMEOUT_MS = 10 * 60 * 1000;
const QUERY_TIMEOUT_MS = 60 * 1000;
/** Read by apt: without them a machine behind a proxy reaches nothing. */
const PROXY_VARIABLES = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy"];
/** Settings of the machine that say how to fetch, not what. */
const FETCH_SETTING =
  /^Acquire::(?!IndexTargets|Changelogs|AllowInsecure|AllowWeak|AllowDowngrade)/;

/** An apt of its own: configuration, index and state apart from the machine's. */
export interface Apt {
  directory: string;
  signal: AbortSignal;
}

/**
 * Prepares apt's private directories. The machine's proxies, credentials and time-outs are kept;
 * its permissions to take unsigned packages are not.
 */
export async function prepareApt(
  directory: string,
  archive: DebianArchive,
  signal: AbortSignal,
): Promise<Apt> {
  for (const name of ["lists/partial", "archives/partial"]) {
    await mkdir(join(directory, name), { recursive: true });
  }
  const { stdout } = await run(["apt-config", "dump", "--no-empty"]);
  const fetching = stdout.split("\n").filter((line) => FETCH_SETTING.test(line));
  await writeFile(join(directory, "status"), "");
  await writeFile(join(directory, "sources.list"), sourcesText(archive));
  // A proxy's password may be in it.
  const configuration = configurationText(directory, fetching);
  await writeFile(join(directory, "apt.conf"), configuration, { mode: 0o600 });
  return { directory, signal };
}

/** The sources of the guest's release; only packages signed by Debian's own keys are taken. */
export function sourcesText(archive: DebianArchive): string {
  const source = (uri: string, suite: string): string =>
    `deb [arch=amd64 signed-by=${KEYRING}] ${uri} ${suite} main`;
  const lines = [source(archive.mainUri, GUEST_RELEASE)];
  if (archive.securityUri !== undefined) {
    lines.push(source(archive.securityUri, `${GUEST_RELEASE}-security`));
  }
  return `${lines.join("\n")}\n`;
}

function configurationText(directory: string, fetching: readonly string[]): string {
  const own: Record<string, string> = {
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": "/dev/null",
    "Dir::Etc::sourcelist": join(directory, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Dir::State": directory,
    "Dir::State::status": join(directory, "status"),
    "Dir::State::lists": join(directory, "lists"),
    "Dir::Cache": directory,
    "Dir::Cache::archives": join(directory, "archives"),
    // Large, and quickly made again.
    "Dir::Cache::srcpkgcache": "",
    "Dir::Cache::pkgcache": join(directory, "archives", "pkgcache.bin"),
    "Dir::Log": directory,
    "Dir::Log::Planner": "/dev/null",
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Install-Recommends": "0",
    "Acquire::Languages": "none",
    "Acquire::Retries": "3",
  };
  const lines = Object.entries(own).map(([key, value]) => `${key} "${value}";`);
  return `${[...fetching, ...lines].join("\n")}\n`;
}

/** Runs one of apt's programs on the private configuration. */
export async function runApt(
  apt: Apt,
  argv: readonly string[],
  options: { cwd?: string; timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await run(argv, {
    timeoutMs: options.timeoutMs ?? QUERY_TIMEOUT_MS,
    cwd: options.cwd ?? apt.directory,
    maxOutputBytes: 8 * 1024 * 1024,
    signal: apt.signal,
    env: aptEnvironment(apt),
  });
  return stdout;
}

function aptEnvironment(apt: Apt): Record<string, string> {
  const env: Record<string, string> = {
    APT_CONFIG: join(apt.directory, "apt.conf"),
    DEBIAN_FRONTEND: "noninteractive",
    LC_ALL: "C.UTF-8",
    PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
  };
  for (const name of PROXY_VARIABLES) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

/**
 * Fetches the signed index unless the one at hand is of today. One that cannot be refreshed still
 * serves: what it names can be built without a network when it was downloaded before.
 * @throws MukonError GUEST_ARCHIVE_UNREACHABLE when there is none at all
 */
export async function refreshIndex(apt: Apt, log: (line: string) => void): Promise<void> {
  const stampPath = join(apt.directory, "refreshed");
  const sources = await readFile(join(apt.directory, "sources.list"), "utf8");
  const ageMs = await indexAgeMs(stampPath, sources);
  if (ageMs !== undefined && ageMs < INDEX_LIFETIME_MS) return;
  log(`Reading the package index of Debian ${GUEST_RELEASE}`);
  try {
    const argv = ["apt-get", "update", "-qq", "--error-on=any"];
    await runApt(apt, argv, { timeoutMs: INDEX_TIMEOUT_MS });
  } catch (cause) {
    if (apt.signal.aborted) throw cause;
    if (ageMs === undefined) throw unreachable(cause);
    log(`The package index cannot be refreshed; the former one serves: ${whyOf(cause)}`);
    return;
  }
  await writeFile(stampPath, sources);
}

/** The stamp holds the sources it was made for: another mirror needs another index. */
async function indexAgeMs(stampPath: string, sources: string): Promise<number | undefined> {
  const stamp = await stat(stampPath).catch(() => undefined);
  if (stamp === undefined || (await readFile(stampPath, "utf8")) !== sources) return undefined;
  return Math.max(0, Date.now() - stamp.mtimeMs);
}

function unreachable(cause: unknown): MukonError {
  return new MukonError(
    "GUEST_ARCHIVE_UNREACHABLE",
    `The package index of Debian ${GUEST_RELEASE} cannot be read: ${whyOf(cause)}`,
    { hint: "Check the network, /etc/apt and the package debian-archive-keyring.", cause },
  );
}

function whyOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll("\n", " ");
}
