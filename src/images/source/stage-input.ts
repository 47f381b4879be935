// SPDX-License-Identifier: Apache-2.0
import {
  chownSync,
  closeSync,
  constants,
  createReadStream,
  createWriteStream,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import { DOWNLOADER_ID } from "../jail/run.ts";
import type { Reference } from "../reference.ts";
import type { Workspace } from "../workspace.ts";

type LocalReference = Exclude<Reference, { kind: "registry" | "built-in" }>;

const MAX_FILES = 4096;

/**
 * The path to show to the downloader: the image's own when everybody may read it, else a copy
 * that only the downloader can read. No permission of the user's files is changed.
 * @throws IMAGE_NOT_FOUND, IMAGE_INVALID
 */
export async function stageInput(reference: LocalReference, workspace: Workspace): Promise<string> {
  const isDirectory = reference.kind === "oci";
  requireKind(reference, isDirectory);
  const files = isDirectory ? layoutFiles(reference) : [""];
  if (isReadableByAll(reference.path, files)) return reference.path;
  const target = join(workspace.downloadDirectory, "input");
  for (const file of files) {
    const path = join(target, file);
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    await copyForDownloader(join(reference.path, file), path);
  }
  return target;
}

function requireKind(reference: LocalReference, isDirectory: boolean): void {
  const stat = statSync(reference.path, { throwIfNoEntry: false });
  if (stat !== undefined && (isDirectory ? stat.isDirectory() : stat.isFile())) return;
  const wanted = isDirectory ? "directory with an OCI layout" : "archive";
  throw new MukonError("IMAGE_NOT_FOUND", `there is no ${wanted} at ${reference.path}`, {
    hint: "check the path",
  });
}

/** The files of an OCI layout (OCI image spec, "Image Layout"), below its directory. */
function layoutFiles(reference: LocalReference): string[] {
  const blobs = "blobs/sha256";
  const all = ["oci-layout", "index.json", ...entries(reference.path, blobs)];
  const files = all.filter((file) => isFile(join(reference.path, file)));
  if (files.length > MAX_FILES) {
    throw new MukonError("IMAGE_INVALID", `${reference.path} has more than ${MAX_FILES} blobs`, {
      hint: "copy the image that you want to a directory of its own: skopeo copy",
    });
  }
  return files;
}

function entries(root: string, directory: string): string[] {
  try {
    return readdirSync(join(root, directory)).map((name) => join(directory, name));
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Directories below `root` count too; those above do not: the jail binds `root` itself. */
function isReadableByAll(root: string, files: string[]): boolean {
  const paths = new Set(files.map((file) => join(root, file)));
  for (const file of files) {
    for (let path = dirname(file); path !== "." && path !== "/"; path = dirname(path)) {
      paths.add(join(root, path));
    }
  }
  if (files.length !== 1 || files[0] !== "") paths.add(root);
  return [...paths].every((path) => {
    const { mode } = statSync(path);
    const isDirectory = (mode & constants.S_IFMT) === constants.S_IFDIR;
    return (mode & 0o004) !== 0 && (!isDirectory || (mode & 0o001) !== 0);
  });
}

async function copyForDownloader(from: string, to: string): Promise<void> {
  const source = openSync(from, constants.O_RDONLY | constants.O_NONBLOCK);
  if (!fstatSync(source).isFile()) {
    closeSync(source);
    throw new MukonError("IMAGE_INVALID", `${from} is not a plain file`);
  }
  await pipeline(
    createReadStream(from, { fd: source }),
    createWriteStream(to, { mode: 0o400, flags: "wx" }),
  );
  chownSync(to, DOWNLOADER_ID, DOWNLOADER_ID);
}
