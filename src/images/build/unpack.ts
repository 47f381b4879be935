// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { parseAccounts } from "../accounts.ts";
import { type LayoutImage, readLayout } from "../layout.ts";
import { type ImageLimits, MAX_ACCOUNTS_FILE_BYTES } from "../limits.ts";
import { readInside } from "../read-inside.ts";
import { IMAGE_NAME, LAYOUT_NAME, REPACKED_LAYOUT_NAME, repackLayers } from "../source/download.ts";
import { runStep } from "../step.ts";
import { ROOT_IMAGE_NAME } from "../store/paths.ts";
import { writeContent } from "../store/records.ts";
import type { Accounts } from "../types.ts";
import type { Workspace } from "../workspace.ts";
import { packTree } from "./pack.ts";

export interface BuildOptions {
  reference: string;
  workspace: Workspace;
  limits: ImageLimits;
  signal?: AbortSignal;
}

const TREE_NAME = "rootfs";

/**
 * Makes the content of an image out of its downloaded layout, in the workspace's result directory.
 * umoci checks each layer against its digests, and applies whiteouts, links, owners, modes and
 * extended attributes; device nodes become empty files, as nobody in the jail can make one.
 */
export async function buildContent(image: LayoutImage, options: BuildOptions): Promise<void> {
  const { workspace, reference, limits } = options;
  await unpack(await unpackableLayout(image, options), options);
  const tree = join(workspace.unpackDirectory, TREE_NAME);
  const accounts = readAccounts(tree);
  const rootBytes = await packTree(
    {
      reference,
      imageId: image.configDigest,
      identity: "unpacker",
      workDirectory: workspace.unpackDirectory,
      treePath: `/workspace/${TREE_NAME}`,
      newestTimeSeconds: image.createdAtSeconds,
      workspace,
      limits,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
    join(workspace.resultDirectory, ROOT_IMAGE_NAME),
  );
  writeContent(workspace.resultDirectory, {
    schemaVersion: 1,
    imageId: image.configDigest,
    rootBytes,
    config: image.config,
    accounts,
  });
}

/** The users and groups of a tree that nobody changes. */
export function readAccounts(tree: string): Accounts {
  const text = (path: string): string =>
    readInside(tree, path, MAX_ACCOUNTS_FILE_BYTES)?.toString("utf8") ?? "";
  return parseAccounts(text("/etc/passwd"), text("/etc/group"));
}

/** Where the layout lies that umoci can unpack. */
async function unpackableLayout(image: LayoutImage, options: BuildOptions): Promise<string> {
  const { workspace, reference } = options;
  const layoutPath = join(workspace.downloadDirectory, LAYOUT_NAME);
  if (!image.hasZstdLayer) return layoutPath;
  await repackLayers(reference, { ...options, layoutPath });
  const repackedPath = join(workspace.downloadDirectory, REPACKED_LAYOUT_NAME);
  if (readLayout(repackedPath, reference).configDigest === image.configDigest) return repackedPath;
  throw new MukonError(
    "IMAGE_INVALID",
    `${reference} is another image once its layers are gzip's`,
    {
      hint: "build or push the image again with layers of tar or tar+gzip",
    },
  );
}

async function unpack(layoutPath: string, options: BuildOptions): Promise<void> {
  const { workspace, reference, limits, signal } = options;
  await runStep({
    stage: "unpack",
    reference,
    argv: ["umoci", "raw", "unpack", "--image", `/input:${IMAGE_NAME}`, `/workspace/${TREE_NAME}`],
    workspace,
    identity: "unpacker",
    workDirectory: workspace.unpackDirectory,
    inputPath: layoutPath,
    limits,
    ...(signal === undefined ? {} : { signal }),
  });
}
