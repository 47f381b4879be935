// SPDX-License-Identifier: Apache-2.0
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { copyDirectory, linkTarget, readIfThere, replaceFile, replaceLink } from "./files.ts";
import type { HostRoot } from "./host-root.ts";
import type { Payload } from "./payload.ts";

/** Holds one directory for each build, and a link to the one in use. */
const PROGRAMS = "/opt/mukon";
const CURRENT = "current";
const GUESTS = "/var/lib/mukon/guest";
const CONFIGURATION = "/etc/mukon/configuration.toml";
const UNIT = "/etc/systemd/system/mukon-gc.service";
const UNIT_LINK = "/etc/systemd/system/multi-user.target.wants/mukon-gc.service";
const COMMAND_LINK = "/usr/local/bin/mukon";
/** A note in the guests' directory: which of them are ours to remove. */
const OURS = ".installed-by-node-install";
const COMMANDS = { mukon: "mukon.cjs", "containerd-shim-mukon-v2": "shim.cjs" } as const;

/**
 * Puts programs, guest, configuration and the unit that cleans up at boot into place. Pods that run keep
 * what they were started with: the build before this one stays, older ones go.
 */
export function installPrograms(host: HostRoot, payload: Payload): void {
  const root = host.at(PROGRAMS);
  mkdirSync(root, { recursive: true, mode: 0o755 });
  const target = join(root, payload.id);
  if (!existsSync(target)) placeBuild(payload, target);
  installGuest(host, payload);
  if (!host.exists(CONFIGURATION)) {
    replaceFile(
      host.at(CONFIGURATION),
      readFileSync(join(payload.directory, "configuration.toml"), "utf8"),
    );
  }
  const before = linkTarget(join(root, CURRENT));
  if (before !== payload.id) replaceLink(join(root, CURRENT), payload.id);
  if (before !== payload.id) removeOthers(root, [CURRENT, payload.id, before ?? ""]);
  installUnit(host, payload);
  const link = host.linkAt(COMMAND_LINK);
  if (linkTarget(link) === undefined && !existsSync(link)) tryLink(link);
}

/** Undoes it. What the administrator changed, built or added stays. */
export function uninstallPrograms(host: HostRoot): void {
  const root = host.at(PROGRAMS);
  const shipped = readIfThere(join(root, CURRENT, "configuration.toml"));
  const configuration = host.at(CONFIGURATION);
  if (shipped !== undefined && readIfThere(configuration) === shipped) rmSync(configuration);
  removeIfEmpty(host.at("/etc/mukon"));
  for (const path of [UNIT_LINK, UNIT]) rmSync(host.linkAt(path), { force: true });
  const link = host.linkAt(COMMAND_LINK);
  if (linkTarget(link)?.startsWith(`${PROGRAMS}/`) === true) rmSync(link);
  uninstallGuests(host.at(GUESTS));
  for (const path of [GUESTS, "/var/lib/mukon"]) removeIfEmpty(host.at(path));
  rmSync(root, { recursive: true, force: true });
}

/** Whole or not at all, under a name that no earlier attempt has. */
function placeBuild(payload: Payload, target: string): void {
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  copyDirectory(join(payload.directory, "lib"), join(partial, "lib"), 0o755);
  copyDirectory(join(payload.directory, "bin"), join(partial, "bin"), 0o755);
  copyFileSync(join(payload.directory, "configuration.toml"), join(partial, "configuration.toml"));
  for (const [command, program] of Object.entries(COMMANDS)) {
    const path = join(partial, "lib", "mukon", program);
    // containerd starts shims with a bare PATH. Without "--" Node 20 takes an --env-file for its own.
    const interpreter = `#!${PROGRAMS}/${basename(target)}/bin/node --\n`;
    writeFileSync(path, interpreter + readFileSync(path, "utf8").replace(/^#!.*\n/, ""));
    chmodSync(path, 0o755);
    symlinkSync(`../lib/mukon/${program}`, join(partial, "bin", command));
  }
  chmodSync(partial, 0o755);
  renameSync(partial, target);
}

/** Only when another build comes into use: else the one before it would go with the next restart. */
function removeOthers(root: string, kept: readonly string[]): void {
  for (const name of readdirSync(root)) {
    if (!kept.includes(name)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function installGuest(host: HostRoot, payload: Payload): void {
  const root = host.at(GUESTS);
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const ours = new Set(
    (readIfThere(join(root, OURS)) ?? "").split("\n").filter((one) => one !== ""),
  );
  const target = join(root, payload.guest);
  // Noted before it is there: what is noted and is not there does no harm.
  if (!existsSync(target)) {
    ours.add(payload.guest);
    replaceFile(join(root, OURS), `${[...ours].join("\n")}\n`);
  }
  copyDirectory(join(payload.directory, "guest", payload.guest), target, 0o700);
  const before = linkTarget(join(root, CURRENT));
  // A guest that the administrator built stays the one in use.
  if (before === undefined || ours.has(basename(before))) {
    replaceLink(join(root, CURRENT), payload.guest);
  }
}

function uninstallGuests(root: string): void {
  const ours = (readIfThere(join(root, OURS)) ?? "").split("\n").filter((one) => one !== "");
  const current = linkTarget(join(root, CURRENT));
  if (current !== undefined && ours.includes(basename(current))) rmSync(join(root, CURRENT));
  for (const name of ours) {
    for (const path of [name, `${name}.partial`]) {
      rmSync(join(root, path), { recursive: true, force: true });
    }
  }
  rmSync(join(root, OURS), { force: true });
}

function installUnit(host: HostRoot, payload: Payload): void {
  const shipped = readFileSync(join(payload.directory, "mukon-gc.service"), "utf8");
  const text = shipped.replaceAll("/usr/local/bin/mukon", `${PROGRAMS}/${CURRENT}/bin/mukon`);
  if (readIfThere(host.at(UNIT)) !== text) replaceFile(host.at(UNIT), text);
  const link = host.linkAt(UNIT_LINK);
  mkdirSync(join(link, ".."), { recursive: true, mode: 0o755 });
  if (linkTarget(link) !== UNIT) replaceLink(link, UNIT);
}

/** Some nodes have a /usr that cannot be written; `mukon` is a convenience there. */
function tryLink(link: string): void {
  try {
    symlinkSync(`${PROGRAMS}/${CURRENT}/bin/mukon`, link);
  } catch (error) {
    if (!["EROFS", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

function removeIfEmpty(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return;
  if (readdirSync(directory).length === 0) rmdirSync(directory);
}
