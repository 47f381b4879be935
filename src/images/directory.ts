// SPDX-License-Identifier: Apache-2.0
import { realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import { packTree } from "./build/pack.ts";
import { readAccounts } from "./build/unpack.ts";
import { emptyConfiguration } from "./configuration.ts";
import { findStored, type PullOptions } from "./pull.ts";
import { stampOfTree } from "./stamp.ts";
import { publish, withNameLock } from "./store/commit.ts";
import { ROOT_IMAGE_NAME, sha256Hex } from "./store/paths.ts";
import { type ReferenceRecord, writeContent } from "./store/records.ts";
import { withWorkspace } from "./workspace.ts";

/**
 * Packs a directory as it is now (owners too), unless the store has it so already. Kept until the
 * directory is packed again after a change, or removed as `dir:/path`.
 * @throws ROOTFS_DIRECTORY_INVALID, IMAGE_PACK_FAILED, IMAGE_STORE_FULL, IMAGE_TOO_LARGE
 */
export async function packDirectory(path: string, options: PullOptions): Promise<ReferenceRecord> {
  const directory = requireDirectory(path);
  const reference = `dir:${directory}`;
  return withNameLock("reference", reference, async () => {
    const stamp = stampOfTree(directory);
    const stored = findStored(reference);
    if (stored?.stamp === stamp && (await publish(stored))) return stored;
    options.log(`packing ${directory}`);
    const imageId = `sha256:${sha256Hex(`${reference}\0${stamp}`)}`;
    const pulledAt = new Date().toISOString();
    const record = {
      schemaVersion: 1,
      reference,
      digest: imageId,
      imageId,
      stamp,
      pulledAt,
    } as const;
    await packInto(record, directory, options);
    return record;
  });
}

/** What the directory's owner can read is for the caller, who is root, to decide: all of it. */
async function packInto(
  record: ReferenceRecord,
  directory: string,
  options: PullOptions,
): Promise<void> {
  await withWorkspace(async (workspace) => {
    const rootBytes = await packTree(
      {
        reference: directory,
        imageId: record.imageId,
        identity: "reader",
        workDirectory: workspace.downloadDirectory,
        treePath: "/input",
        inputPath: directory,
        workspace,
        limits: options.limits,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      join(workspace.resultDirectory, ROOT_IMAGE_NAME),
    );
    writeContent(workspace.resultDirectory, {
      schemaVersion: 1,
      imageId: record.imageId,
      rootBytes,
      config: emptyConfiguration(),
      accounts: readAccounts(directory),
    });
    await publish(record, workspace.resultDirectory);
  });
}

function requireDirectory(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isDirectory() === true) return realpathSync(path);
  const why = stat === undefined ? "there is nothing" : "it is not a directory";
  throw new MukonError("ROOTFS_DIRECTORY_INVALID", `${path} cannot be a root file system: ${why}`, {
    hint: "give the directory that holds bin, etc, usr and so on",
  });
}
