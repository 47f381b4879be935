// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { builtInImage } from "./built-in.ts";
import { parseReference } from "./reference.ts";
import { sweepContents, withStoreLock } from "./store/commit.ts";
import {
  deleteReference,
  type ReferenceRecord,
  readContent,
  readReference,
  readReferences,
} from "./store/records.ts";
import type { StoredImage } from "./types.ts";
import { sweepWorkspaces } from "./workspace.ts";

const IMAGE_ID = /^(?:sha256:)?([0-9a-f]{12,64})$/;

/** Every image that can run without a pull, the built-in one first. */
export async function listImages(): Promise<StoredImage[]> {
  const builtIn = await builtInImage();
  const stored = readReferences().map((record) => ({
    reference: record.reference,
    digest: record.digest,
    imageId: record.imageId,
    createdAt: record.pulledAt,
    sizeBytes: readContent(record.imageId)?.rootBytes ?? 0,
    isBuiltIn: false,
  }));
  return builtIn === undefined ? stored : [builtIn, ...stored];
}

/**
 * Removes a reference, or all of an image id (12 or more digits of it). The content goes with the
 * last reference to it; a pod that runs on it keeps it open, and is not disturbed.
 * @throws IMAGE_NOT_FOUND, IMAGE_BUILT_IN
 */
export async function removeImage(
  name: string,
): Promise<{ removed: string[]; freedBytes: number }> {
  const result = await withStoreLock(async () => {
    const records = findReferences(name);
    for (const record of records) deleteReference(record.reference);
    const kept = new Set(readReferences().map((record) => record.imageId));
    const freed = new Set(records.map((record) => record.imageId).filter((id) => !kept.has(id)));
    const sizes = [...freed].map((imageId) => readContent(imageId)?.rootBytes ?? 0);
    await sweepContents(freed);
    return {
      removed: records.map((record) => record.reference),
      freedBytes: sizes.reduce((sum, size) => sum + size, 0),
    };
  });
  await sweepWorkspaces();
  return result;
}

function findReferences(name: string): ReferenceRecord[] {
  const byName = readReference(nameInStore(name));
  if (byName !== undefined) return [byName];
  const digits = IMAGE_ID.exec(name)?.[1];
  const found = readReferences().filter((record) => {
    const ids = [record.imageId, record.digest];
    return digits !== undefined && ids.some((id) => id.startsWith(`sha256:${digits}`));
  });
  if (found.length > 0) return found;
  throw new MukonError("IMAGE_NOT_FOUND", `there is no image ${name} on this host`, {
    hint: "list them: mukon image ls",
  });
}

/** A packed directory is named as `dir:/path`, which is no reference that could be pulled. */
function nameInStore(name: string): string {
  if (name.startsWith("dir:")) return name;
  const reference = parseReference(name);
  if (reference.kind !== "built-in") return reference.text;
  throw new MukonError("IMAGE_BUILT_IN", `${name} is part of mukon's guest`, {
    hint: "it takes little room; it goes with the guest's directory",
  });
}
