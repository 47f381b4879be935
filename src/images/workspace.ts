// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isSameProcess, readProcessStatus } from "../linux/process-status.ts";
import { run } from "../linux/run.ts";
import { DOWNLOADER_ID } from "./jail/run.ts";
import { IMAGE_ID_BASE } from "./jail/user-namespace.ts";
import { workDirectory } from "./store/paths.ts";

/** The directories of one pull; nothing of them is ever visible as an image. */
export interface Workspace {
  directory: string;
  /** Stays empty. */
  jailDirectory: string;
  /** The downloader's. */
  downloadDirectory: string;
  /** The unpacker's. */
  unpackDirectory: string;
  /** Root's: what is put together to be renamed into the store. */
  resultDirectory: string;
}

/** Runs `work` with a workspace, which is gone afterwards; those of dead processes go first. */
export async function withWorkspace<Result>(
  work: (workspace: Workspace) => Promise<Result>,
): Promise<Result> {
  await sweepWorkspaces();
  const workspace = createWorkspace();
  try {
    return await work(workspace);
  } finally {
    await removeTree(workspace.directory);
  }
}

/** Removes what processes left that were killed while they pulled. */
export async function sweepWorkspaces(): Promise<void> {
  if (!existsSync(workDirectory())) return;
  for (const name of readdirSync(workDirectory())) {
    if (!isOwnerAlive(name)) await removeTree(join(workDirectory(), name));
  }
}

/**
 * Removes a tree of any depth. Node's own function cannot reach paths longer than PATH_MAX, which
 * a layer may hold on purpose.
 */
export async function removeTree(path: string): Promise<void> {
  await run(["rm", "--recursive", "--force", "--one-file-system", "--", path]);
}

function createWorkspace(): Workspace {
  const name = `${process.pid}-${ownStartTime()}-${randomBytes(6).toString("hex")}`;
  const directory = join(workDirectory(), name);
  const workspace = {
    directory,
    jailDirectory: join(directory, "jail"),
    downloadDirectory: join(directory, "download"),
    unpackDirectory: join(directory, "unpack"),
    resultDirectory: join(directory, "result"),
  };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  mkdirSync(workspace.jailDirectory, { mode: 0o700 });
  mkdirSync(workspace.resultDirectory, { mode: 0o700 });
  for (const [path, id] of [
    [workspace.downloadDirectory, DOWNLOADER_ID],
    [workspace.unpackDirectory, IMAGE_ID_BASE],
  ] as const) {
    for (const each of [path, join(path, "tmp")]) {
      // 0755: the unpacker reads what the downloader wrote. Nobody else gets past the parents.
      mkdirSync(each, { mode: 0o755 });
      chownSync(each, id, id);
    }
  }
  return workspace;
}

/** The name says whose it is: pid and start time, which together are never used twice. */
function isOwnerAlive(name: string): boolean {
  const [, pid, startTime] = /^(\d+)-(\d+)-[0-9a-f]+$/.exec(name) ?? [];
  return (
    pid !== undefined && startTime !== undefined && isSameProcess(Number(pid), BigInt(startTime))
  );
}

function ownStartTime(): bigint {
  return readProcessStatus(process.pid)?.startTime ?? 0n;
}
