// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { readBounded } from "../read-bounded.ts";
import type { Accounts, ImageConfiguration } from "../types.ts";
import {
  contentDirectory,
  IMAGE_RECORD_NAME,
  referencePath,
  referencesDirectory,
} from "./paths.ts";

/** What is known of the content of an image. */
export interface ContentRecord {
  schemaVersion: 1;
  imageId: string;
  rootBytes: number;
  config: ImageConfiguration;
  accounts: Accounts;
}

/** Which content a reference stands for. */
export interface ReferenceRecord {
  schemaVersion: 1;
  reference: string;
  digest: string;
  imageId: string;
  /** What tells whether the source is still the same; see stamp.ts. */
  stamp: string;
  pulledAt: string;
}

const MAX_RECORD_BYTES = 32 * 1024 * 1024;

const Digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));
const Whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const Texts = v.array(v.string());

const ContentSchema = v.object({
  schemaVersion: v.literal(1),
  imageId: Digest,
  rootBytes: Whole,
  config: v.object({
    entrypoint: Texts,
    cmd: Texts,
    env: Texts,
    user: v.string(),
    workingDir: v.string(),
    stopSignal: v.exactOptional(v.string()),
    exposedPorts: Texts,
    volumes: Texts,
    labels: v.record(v.string(), v.string()),
  }),
  accounts: v.object({
    users: v.array(v.object({ name: v.string(), uid: Whole, gid: Whole })),
    groups: v.array(v.object({ name: v.string(), gid: Whole, members: Texts })),
  }),
});

const ReferenceSchema = v.object({
  schemaVersion: v.literal(1),
  reference: v.string(),
  digest: Digest,
  imageId: Digest,
  stamp: v.string(),
  pulledAt: v.string(),
});

/** Undefined when there is no such content. @throws IMAGE_STORE_INVALID */
export function readContent(imageId: string): ContentRecord | undefined {
  return readRecord(join(contentDirectory(imageId), IMAGE_RECORD_NAME), ContentSchema);
}

export function writeContent(directory: string, record: ContentRecord): void {
  writeFileAtomic(join(directory, IMAGE_RECORD_NAME), JSON.stringify(record), { mode: 0o600 });
}

/** Undefined when the reference was never pulled. @throws IMAGE_STORE_INVALID */
export function readReference(reference: string): ReferenceRecord | undefined {
  return readRecord(referencePath(reference), ReferenceSchema);
}

export function writeReference(record: ReferenceRecord): void {
  writeFileAtomic(referencePath(record.reference), JSON.stringify(record), { mode: 0o600 });
}

export function deleteReference(reference: string): void {
  rmSync(referencePath(reference), { force: true });
}

/** All references, sorted by name. @throws IMAGE_STORE_INVALID */
export function readReferences(): ReferenceRecord[] {
  if (!existsSync(referencesDirectory())) return [];
  return readdirSync(referencesDirectory())
    .filter((name) => name.endsWith(".json"))
    .map((name) => readRecord(join(referencesDirectory(), name), ReferenceSchema))
    .filter((record) => record !== undefined)
    .sort((a, b) => (a.reference < b.reference ? -1 : 1));
}

function readRecord<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
): v.InferOutput<Schema> | undefined {
  const bytes = readBounded(path, MAX_RECORD_BYTES);
  if (bytes === undefined && !existsSync(path)) return undefined;
  try {
    return v.parse(schema, JSON.parse(bytes?.toString("utf8") ?? ""));
  } catch (cause) {
    throw new MukonError("IMAGE_STORE_INVALID", `${path} is not what mukon wrote there`, {
      hint: `remove it, and pull the image again: rm ${path}`,
      cause,
    });
  }
}
