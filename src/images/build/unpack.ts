// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { parseAccounts } from "../accounts.ts";
import type { LayoutImage } from "../layout.ts";
import { type ImageLimits, MAX_ACCOUNTS_FILE_BYTES } from "../limits.ts";
import { readInside } from "../read-inside.ts";
import { IMAGE_NAME, LAYOUT_NAME } from "../source/download.ts";
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
  await unpack(options);
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

async function unpack(options: BuildOptions): Promise<void> {
  const { workspace, reference, limits, signal } = options;
  await runStep({
    stage: "unpack",
    reference,
    argv: ["umoci", "raw", "unpack", "--image", `/input:${IMAGE_NAME}`, `/workspace/${TREE_NAME}`],
    workspace,
    identity: "unpacker",
    workDirectory: workspace.unpackDirectory,
    inputPath: join(workspace.downloadDirectory, LAYOUT_NAME),
    limits,
    ...(signal === undefined ? {} : { signal }),
  });
}
