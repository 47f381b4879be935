// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import { withLock } from "../linux/lock.ts";
import { listMounts } from "../linux/mounts.ts";
import { runRoot, stateRoot } from "../linux/paths.ts";
import { ensureRunRoot, runLock } from "./run-directories.ts";

const OTHERS_READ = 0o004;
const OTHERS_EXECUTE = 0o001;
/** What a program loads from beside itself. */
const COMPANION = "koffi.node";

/** Directory of the running bundle, where the other bundles are; `MUKON_PROGRAMS` overrides it. */
export function programsDirectory(): string {
  const override = process.env.MUKON_PROGRAMS;
  if (override !== undefined && override !== "") return override;
  return dirname(realpathSync(process.argv[1] ?? process.execPath));
}

/**
 * A path by which an unprivileged user can read (and, if it is executable, execute) a program: its
 * own real path if possible, else that of a copy, with koffi.node beside it when it has one.
 * @throws PROGRAM_NOT_FOUND, PROGRAM_UNREACHABLE
 */
export async function publishProgram(path: string): Promise<string> {
  const source = realProgram(path);
  const companion = join(dirname(source), COMPANION);
  const files = existsSync(companion) && companion !== source ? [source, companion] : [source];
  if (files.every(isReachableByAll)) return source;
  return await withLock(runLock("programs"), () => publishCopy(source, files));
}

/** Whether everybody may read it, and come to where it is; for executables, execute it too. */
export function isReachableByAll(path: string): boolean {
  const mode = statSync(path).mode;
  const isExecutable = (mode & 0o111) !== 0;
  if ((mode & OTHERS_READ) === 0 || (isExecutable && (mode & OTHERS_EXECUTE) === 0)) return false;
  return isSearchableByAll(dirname(path));
}

function isSearchableByAll(directory: string): boolean {
  if ((statSync(directory).mode & OTHERS_EXECUTE) === 0) return false;
  return directory === "/" || isSearchableByAll(dirname(directory));
}

function realProgram(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new MukonError("PROGRAM_NOT_FOUND", `${path} is not there`, {
      hint: "build and install mukon: scripts/quickstart",
      cause,
    });
  }
}

/** Named by which file it was, and of when: a newer program never changes under one that runs. */
function publishCopy(source: string, files: readonly string[]): string {
  const root = programRoot(source);
  const hash = createHash("sha256");
  for (const file of files) {
    // Not its contents: an interpreter has a hundred megabytes, and this is done for each pod.
    const { dev, ino, size, mtimeNs } = statSync(file, { bigint: true });
    hash.update(`${file} ${dev} ${ino} ${size} ${mtimeNs}\n`);
  }
  const directory = join(root, hash.digest("hex"));
  if (!existsSync(directory)) {
    const temporary = `${directory}.new`;
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { mode: 0o755 });
    chmodSync(temporary, 0o755);
    for (const file of files) {
      const copy = join(temporary, basename(file));
      copyFileSync(file, copy);
      chmodSync(copy, (statSync(file).mode & 0o111) === 0 ? 0o444 : 0o555);
    }
    renameSync(temporary, directory);
  }
  return join(directory, basename(source));
}

/**
 * The run root, unless nothing may be executed (or mapped as code) from its file system, as on many
 * machines; then the state root, whose other directories are closed before it is opened.
 */
function programRoot(source: string): string {
  const inRun = join(runRoot(), "programs");
  const inState = join(stateRoot(), "programs");
  ensureRunRoot();
  for (const root of [inRun, inState]) {
    const parent = dirname(root);
    mkdirSync(parent, { recursive: true, mode: 0o711 });
    if (!isSearchableByAll(dirname(parent)) || isNoExec(parent)) continue;
    openForPassage(parent);
    mkdirSync(root, { recursive: true, mode: 0o755 });
    chmodSync(root, 0o755);
    return root;
  }
  throw new MukonError(
    "PROGRAM_UNREACHABLE",
    `an unprivileged user can reach neither ${source} nor a copy in ${inRun} or ${inState}`,
    { hint: "install mukon where all users may pass through: scripts/quickstart does" },
  );
}

/** Lets others pass through a directory of ours; what else is in it stays closed. */
function openForPassage(directory: string): void {
  const mode = statSync(directory).mode & 0o7777;
  if ((mode & OTHERS_EXECUTE) !== 0) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "programs") continue;
    const path = join(directory, entry.name);
    chmodSync(path, statSync(path).mode & 0o7700);
  }
  chmodSync(directory, mode | OTHERS_EXECUTE);
}

function isNoExec(path: string): boolean {
  const real = realpathSync(path);
  const mounts = listMounts().filter(
    ({ mountPoint }) =>
      mountPoint === "/" || real === mountPoint || real.startsWith(`${mountPoint}/`),
  );
  const nearest = mounts.reduce((best, mount) =>
    mount.mountPoint.length >= best.mountPoint.length ? mount : best,
  );
  return nearest.options.includes("noexec");
}
