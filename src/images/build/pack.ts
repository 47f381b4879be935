// SPDX-License-Identifier: Apache-2.0
import { chmodSync, chownSync, lstatSync, renameSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import type { JailIdentity } from "../jail/run.ts";
import type { ImageLimits } from "../limits.ts";
import { runStep } from "../step.ts";
import { sha256Hex } from "../store/paths.ts";
import type { Workspace } from "../workspace.ts";

export interface PackInput {
  /** For messages. */
  reference: string;
  /** Decides the file system's UUID: the same content gives the same file. */
  imageId: string;
  identity: JailIdentity;
  /** A directory that the identity can write to. */
  workDirectory: string;
  /** The tree, as seen from inside the jail. */
  treePath: string;
  /** A directory outside the jail, seen as /input. */
  inputPath?: string;
  /** Times after this one become this one; undefined keeps all. */
  newestTimeSeconds?: number;
  workspace: Workspace;
  limits: ImageLimits;
  signal?: AbortSignal;
}

const OUTPUT_NAME = "root.erofs";

/**
 * Makes an EROFS image of a tree, uncompressed: all pods on a host share one copy of it in the
 * page cache, and guests need no time to unpack what they read (lz4 halves the file, and made an
 * emulated guest 5 % slower to its first output). Owners, modes, extended attributes and links are
 * kept. The time of the newest file allowed goes by SOURCE_DATE_EPOCH, which lowers only later
 * times; mkfs.erofs -T would give every file the same one. The same tree gives the same bytes, but
 * for the order of the attributes of a file that has several.
 * @returns bytes of the image
 * @throws IMAGE_PACK_FAILED, IMAGE_STORE_FULL, IMAGE_TOO_LARGE
 */
export async function packTree(input: PackInput, targetPath: string): Promise<number> {
  const { reference, imageId, treePath, newestTimeSeconds, ...step } = input;
  const output = `/workspace/${OUTPUT_NAME}`;
  await runStep({
    ...step,
    stage: "pack",
    reference,
    argv: ["mkfs.erofs", "--quiet", `-U${uuidOf(imageId)}`, output, treePath],
    env: newestTimeSeconds === undefined ? {} : { SOURCE_DATE_EPOCH: String(newestTimeSeconds) },
  });
  return takeOver(join(step.workDirectory, OUTPUT_NAME), targetPath, reference);
}

/**
 * The file becomes root's and read-only. Its maker is dead, so what is checked stays so; it could
 * have left a link there, to make us change what it points to.
 */
function takeOver(path: string, targetPath: string, reference: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true || stat.nlink !== 1) {
    throw new MukonError("IMAGE_PACK_FAILED", `mkfs.erofs left no plain file for ${reference}`);
  }
  renameSync(path, targetPath);
  chownSync(targetPath, 0, 0);
  chmodSync(targetPath, 0o444);
  return stat.size;
}

/** A version 8 UUID (RFC 9562): free-form, here out of the image's id. */
function uuidOf(imageId: string): string {
  const hex = sha256Hex(imageId);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join("-");
}
