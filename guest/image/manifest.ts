// SPDX-License-Identifier: Apache-2.0
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { hashOfData, sha256OfFile } from "./hashes.ts";

/** The files of a guest, under these names in its directory. */
export const GUEST_FILES = {
  kernel: "vmlinux",
  initrd: "initrd",
  image: "image.erofs",
  busybox: "busybox.erofs",
  busyboxConfig: "busybox.json",
} as const;
export const MANIFEST_NAME = "manifest.json";

const Hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const Size = v.pipe(v.number(), v.integer(), v.minValue(0));

const InputsSchema = v.object({
  /** Hash of the scripts and lists that the guest is put together by. */
  recipe: Hash,
  release: v.string(),
  packages: v.array(v.object({ name: v.string(), version: v.string(), sha256: Hash })),
  node: v.object({ version: v.string(), sha256: Hash }),
  agent: v.object({ sha256: Hash, ffiSha256: v.optional(Hash) }),
  erofsUtils: v.string(),
});

const ManifestSchema = v.object({
  schemaVersion: v.literal(1),
  /** Name of the directory: hash over the names and hashes of `files`. */
  contentHash: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** Hash of `inputs`: the same inputs need no second build. */
  inputsHash: Hash,
  kernelRelease: v.string(),
  inputs: InputsSchema,
  files: v.array(
    v.object({ name: v.picklist(Object.values(GUEST_FILES)), sha256: Hash, sizeBytes: Size }),
  ),
});

/** What a guest was built from. */
export type GuestInputs = v.InferOutput<typeof InputsSchema>;
/** What a guest is made of: versions, sizes and hashes. */
export type GuestManifest = v.InferOutput<typeof ManifestSchema>;
export type GuestFile = GuestManifest["files"][number];

/** Describes the files in `directory`, which must all be there. */
export async function describeGuest(
  directory: string,
  inputs: GuestInputs,
  kernelRelease: string,
): Promise<GuestManifest> {
  const files: GuestFile[] = [];
  for (const name of Object.values(GUEST_FILES)) {
    const path = join(directory, name);
    files.push({ name, sha256: await sha256OfFile(path), sizeBytes: (await stat(path)).size });
  }
  return {
    schemaVersion: 1,
    contentHash: contentHashOf(files),
    inputsHash: hashOfData(inputs),
    kernelRelease,
    inputs,
    files,
  };
}

/**
 * Reads and checks the manifest in a guest's directory.
 * @throws MukonError GUEST_MANIFEST_INVALID, GUEST_HASH_MISMATCH
 */
export async function readManifest(directory: string): Promise<GuestManifest> {
  const path = join(directory, MANIFEST_NAME);
  const manifest = parseManifest(
    path,
    await readFile(path, "utf8").catch((cause) => invalid(path, cause)),
  );
  if (contentHashOf(manifest.files) !== manifest.contentHash) {
    throw new MukonError("GUEST_HASH_MISMATCH", `${path} lists files that are not of its guest.`, {
      hint: "Run `mukon guest build` to make a new guest.",
    });
  }
  return manifest;
}

function parseManifest(path: string, text: string): GuestManifest {
  try {
    return v.parse(ManifestSchema, JSON.parse(text));
  } catch (cause) {
    return invalid(path, cause);
  }
}

function contentHashOf(files: readonly GuestFile[]): string {
  const pairs = files.map(({ name, sha256 }) => [name, sha256]);
  return hashOfData(pairs.sort()).slice(0, 32);
}

function invalid(path: string, cause: unknown): never {
  const why = cause instanceof Error ? cause.message : String(cause);
  throw new MukonError(
    "GUEST_MANIFEST_INVALID",
    `The guest's manifest ${path} is not usable: ${why}`,
    {
      hint: "Run `mukon guest build` to make a new guest.",
      cause,
    },
  );
}
