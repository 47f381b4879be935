// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { MukonError } from "../errors/mukon-error.ts";
import { buildContent } from "./build/unpack.ts";
import { guardDisk } from "./disk-guard.ts";
import { readLayout } from "./layout.ts";
import type { ImageLimits } from "./limits.ts";
import type { Reference } from "./reference.ts";
import { copyLocalImage, downloadImage, LAYOUT_NAME, resolveDigest } from "./source/download.ts";
import { stageInput } from "./source/stage-input.ts";
import { stampOfFile } from "./stamp.ts";
import { publish, withNameLock } from "./store/commit.ts";
import { type ReferenceRecord, readContent, readReference } from "./store/records.ts";
import type { ProgressLog } from "./types.ts";
import { type Workspace, withWorkspace } from "./workspace.ts";

export interface PullOptions {
  log: ProgressLog;
  limits: ImageLimits;
  signal?: AbortSignal;
}

/** All references that need a pull. */
export type PullableReference = Exclude<Reference, { kind: "built-in" }>;

const MAX_ATTEMPTS = 3;

/** What a file of an archive or layout looks like now; registries are asked only when pulling. */
export function localStamp(reference: PullableReference): string | undefined {
  if (reference.kind === "registry") return undefined;
  const { kind, path } = reference;
  return stampOfFile(kind === "oci" ? join(path, "index.json") : path);
}

/** The record of a reference whose content is there. */
export function findStored(reference: string): ReferenceRecord | undefined {
  const record = readReference(reference);
  return record !== undefined && readContent(record.imageId) !== undefined ? record : undefined;
}

/**
 * Fetches an image into the store, unless the store has just this one. Nothing of it can be seen
 * before all of it is there. The caller holds the reference's lock.
 */
export async function pull(
  reference: PullableReference,
  options: PullOptions,
): Promise<ReferenceRecord> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const record = await withWorkspace((workspace) =>
      reference.kind === "registry"
        ? pullFromRegistry(reference, workspace, options)
        : pullFromFile(reference, workspace, options),
    );
    if (record !== undefined) return record;
  }
  throw new MukonError("IMAGE_NOT_FOUND", `${reference.text} was removed while it was pulled`, {
    hint: "pull it again",
  });
}

async function pullFromRegistry(
  reference: Extract<Reference, { kind: "registry" }>,
  workspace: Workspace,
  options: PullOptions,
): Promise<ReferenceRecord | undefined> {
  const download = { workspace, ...options };
  const digest = await resolveDigest(reference, download);
  const stored = findStored(reference.text);
  if (stored?.digest === digest) {
    const record = { ...stored, pulledAt: new Date().toISOString() };
    return (await publish(record)) ? record : undefined;
  }
  options.log(`downloading ${reference.text}`);
  await downloadImage(reference, digest, download);
  return store({ reference, workspace, stamp: digest, digest }, options);
}

async function pullFromFile(
  reference: Exclude<PullableReference, { kind: "registry" }>,
  workspace: Workspace,
  options: PullOptions,
): Promise<ReferenceRecord | undefined> {
  // Before it is read: a change meanwhile makes the next run read it again.
  const stamp = localStamp(reference) ?? "";
  options.log(`reading ${reference.text}`);
  const guard = { directory: workspace.directory, ...options };
  const input = await guardDisk(guard, () => stageInput(reference, workspace));
  await copyLocalImage(reference, input, { workspace, ...options });
  return store({ reference, workspace, stamp }, options);
}

interface Fetched {
  reference: PullableReference;
  workspace: Workspace;
  stamp: string;
  /** As the registry names it; default: that of the layout. */
  digest?: string;
}

/** Makes the content unless the store has it under another name; one process at a time. */
async function store(fetched: Fetched, options: PullOptions): Promise<ReferenceRecord | undefined> {
  const { reference, workspace } = fetched;
  const image = readLayout(join(workspace.downloadDirectory, LAYOUT_NAME), reference.text);
  const record: ReferenceRecord = {
    schemaVersion: 1,
    reference: reference.text,
    digest: fetched.digest ?? image.manifestDigest,
    imageId: image.configDigest,
    stamp: fetched.stamp,
    pulledAt: new Date().toISOString(),
  };
  return withNameLock("content", record.imageId, async () => {
    if (readContent(record.imageId) === undefined) {
      options.log(`unpacking ${image.layerCount} layer${image.layerCount === 1 ? "" : "s"}`);
      await buildContent(image, { reference: reference.text, workspace, ...options });
      return (await publish(record, workspace.resultDirectory)) ? record : undefined;
    }
    return (await publish(record)) ? record : undefined;
  });
}
