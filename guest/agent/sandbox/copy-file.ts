// SPDX-License-Identifier: Apache-2.0
import { constants } from "node:fs";
import {
  chmod,
  lchown,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
} from "node:fs/promises";
import { dirname } from "node:path";
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import type { CopyFileRequest } from "../schema/agent.ts";
import { checkGuestPath } from "../storage/paths.ts";

export type CopyRequest = Infer<typeof CopyFileRequest>;

const TYPE_MASK = 0o170000;
const TYPE_DIRECTORY = 0o040000;
const TYPE_LINK = 0o120000;
const TYPE_FILE = 0o100000;
/** As overlayfs says that something is not there any more. */
const TYPE_NOTHING = 0o020000;
const PERMISSIONS = 0o7777;
const DEFAULT_DIRECTORY_MODE = 0o750;
const TEMPORARY_SUFFIX = ".mukon-part";

/**
 * Puts a file, a directory or a symbolic link (its target is the data) into the guest. A file may
 * come in several parts; it appears under its name when the last one is there. A file without a type
 * is changed in place: what is mounted from it must stay the same file. A character device stands
 * for nothing: what has the name is removed.
 */
export async function copyFile(request: CopyRequest): Promise<void> {
  const path = checkGuestPath(request.path, "path of the file");
  await makeParents(path, request.dirMode);
  switch (request.fileMode & TYPE_MASK) {
    case TYPE_DIRECTORY:
      await mkdir(path, { recursive: true });
      await giveAway(path, request);
      return;
    case TYPE_LINK:
      return putLink(path, request);
    case TYPE_NOTHING:
      return rm(path, { recursive: true, force: true });
    case TYPE_FILE:
    case 0:
      return copyPart(path, request);
    default:
      throw new AgentError(Status.invalidArgument, `${path} is neither file, directory nor link`);
  }
}

/** There is no moment without the link: readers go through it while it changes. */
async function putLink(path: string, request: CopyRequest): Promise<void> {
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  await rm(temporary, { force: true });
  await symlink(request.data, temporary);
  await lchown(temporary, request.uid, request.gid);
  await rename(temporary, path);
}

/** A container that shares the directory must not be able to redirect the copy with a link. */
async function makeParents(path: string, mode: number): Promise<void> {
  const parent = dirname(path);
  await mkdir(parent, { recursive: true, mode: mode & PERMISSIONS || DEFAULT_DIRECTORY_MODE });
  if ((await realpath(parent)) !== parent) {
    throw new AgentError(Status.invalidArgument, `${parent} leads through a symbolic link`);
  }
}

async function copyPart(path: string, request: CopyRequest): Promise<void> {
  const { offset, fileSize, data } = request;
  const end = offset + BigInt(data.length);
  if (offset < 0n || end > fileSize) {
    throw new AgentError(
      Status.invalidArgument,
      `part ends at byte ${end} of ${fileSize}: ${path}`,
    );
  }
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  if (offset === 0n) await rm(temporary, { force: true });
  const file = await open(temporary, offset === 0n ? "wx" : "r+", 0o600);
  try {
    const { bytesWritten } = await file.write(data, 0, data.length, Number(offset));
    if (bytesWritten < data.length) throw new AgentError(Status.internal, `${path}: short write`);
  } finally {
    await file.close();
  }
  if (end < fileSize) return;
  if ((request.fileMode & TYPE_MASK) === 0) {
    await replaceContents(path, temporary);
    await giveAway(path, request);
  } else {
    await giveAway(temporary, request);
    await rename(temporary, path);
  }
}

async function replaceContents(path: string, part: string): Promise<void> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  try {
    await file.writeFile(await readFile(part));
  } finally {
    await file.close();
  }
  await rm(part, { force: true });
}

async function giveAway(path: string, request: CopyRequest): Promise<void> {
  await lchown(path, request.uid, request.gid);
  await chmod(path, request.fileMode & PERMISSIONS);
}
