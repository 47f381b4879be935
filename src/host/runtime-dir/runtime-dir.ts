// SPDX-License-Identifier: Apache-2.0
import { chmodSync, lchownSync, lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { runtimeDirectoryRoot } from "../../linux/paths.ts";
import type { PodIdentity } from "../identity/types.ts";
import type { Journal } from "../journal/journal.ts";
import { removeDirectory } from "../journal/undo.ts";

const MODE = 0o700;
const PARENT_MODE = 0o755;
const WRITABLE_BY_OTHERS = 0o022;

/** `/run/user/<uid>` of a pod's VMM. */
export function runtimeDirectoryOf(uid: number): string {
  return join(runtimeDirectoryRoot(), String(uid));
}

/**
 * Makes the VMM's runtime directory, for its user alone. What is there from before goes first; the
 * block of ids is this pod's, so nobody can miss it.
 * @throws RUNTIME_DIRECTORY_FOREIGN when it belongs to someone else, or others could replace it
 */
export async function createRuntimeDirectory(
  identity: PodIdentity,
  journal: Journal,
): Promise<string> {
  const { uid, gid } = identity.vmm;
  const path = runtimeDirectoryOf(uid);
  assertParent(runtimeDirectoryRoot());
  const old = lstatSync(path, { throwIfNoEntry: false });
  if (old !== undefined && old.uid !== uid && old.uid !== 0) throw foreign(path, old.uid);
  journal.append({ type: "directory", path });
  if (old !== undefined) await removeDirectory(path);
  mkdirSync(path, { mode: MODE });
  // Whatever the umask is; before the owner changes, so that only root can be in between.
  chmodSync(path, MODE);
  lchownSync(path, uid, gid);
  return path;
}

function assertParent(parent: string): void {
  mkdirSync(parent, { recursive: true, mode: PARENT_MODE });
  const { uid, mode } = lstatSync(parent);
  if (uid === 0 && (mode & WRITABLE_BY_OTHERS) === 0) return;
  throw new MukonError(
    "RUNTIME_DIRECTORY_FOREIGN",
    `others than root may write to ${parent} (owner ${uid}, mode ${(mode & 0o7777).toString(8)})`,
    { hint: `chown root:root ${parent} && chmod 0755 ${parent}` },
  );
}

function foreign(path: string, owner: number): MukonError {
  return new MukonError("RUNTIME_DIRECTORY_FOREIGN", `${path} belongs to uid ${owner}`, {
    hint: "the range of ids in [mukon] overlaps with other users' ids; choose another",
  });
}
