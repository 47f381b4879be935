// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { imagesDirectory } from "../linux/paths.ts";
import { resolveBuiltIn } from "./built-in.ts";
import { packDirectory } from "./directory.ts";
import { full, isDiskFull } from "./disk-guard.ts";
import { DEFAULT_LIMITS, type ImageLimits } from "./limits.ts";
import { findStored, localStamp, type PullableReference, type PullOptions, pull } from "./pull.ts";
import { parseReference } from "./reference.ts";
import { markUsed, withNameLock } from "./store/commit.ts";
import { rootImagePath } from "./store/paths.ts";
import { type ReferenceRecord, readContent } from "./store/records.ts";
import type { ProgressLog, ResolvedImage } from "./types.ts";

export type PullPolicy = "missing" | "always" | "never";

export interface ResolveOptions {
  log?: ProgressLog;
  /** Default `missing`. `never` is about registries: files of this machine are always read. */
  pull?: PullPolicy;
  limits?: Partial<ImageLimits>;
  /** Ends the programs that work on the image, and leaves nothing. */
  signal?: AbortSignal;
}

/**
 * Makes an image ready to run, and says where its root file system lies and what it wants to run.
 * An image is made once, however many ask for it at the same time.
 * @throws IMAGE_REFERENCE_INVALID, IMAGE_NOT_FOUND, IMAGE_PULL_DENIED,
 *   IMAGE_REGISTRY_UNREACHABLE, IMAGE_PULL_FAILED, IMAGE_PLATFORM_MISSING, IMAGE_INVALID,
 *   IMAGE_UNPACK_FAILED, IMAGE_PACK_FAILED, IMAGE_TOO_LARGE, IMAGE_STORE_FULL, GUEST_NOT_BUILT
 */
export async function resolveImage(
  text: string,
  options: ResolveOptions = {},
): Promise<ResolvedImage> {
  const reference = parseReference(text);
  if (reference.kind === "built-in") return resolveBuiltIn();
  const policy = options.pull ?? "missing";
  return explainingFullDisk(async () => {
    const known = policy === "always" ? undefined : findFresh(reference);
    if (known !== undefined) return toResolved(known);
    if (policy === "never" && reference.kind === "registry") throw notHere(reference.text);
    const waitingSince = new Date().toISOString();
    return withNameLock("reference", reference.text, async () => {
      // Whoever held the lock may have pulled just this.
      const made = findFresh(reference);
      if (made !== undefined && (policy !== "always" || made.pulledAt > waitingSince)) {
        return toResolved(made);
      }
      return toResolved(await pull(reference, pullOptions(options)));
    });
  });
}

/** Makes a directory's content a root file system; the directory itself is only read. */
export async function rootfsFromDirectory(
  path: string,
  options: Omit<ResolveOptions, "pull"> = {},
): Promise<ResolvedImage> {
  return explainingFullDisk(async () =>
    toResolved(await packDirectory(path, pullOptions(options))),
  );
}

/** A stored image whose source has not changed since, as far as this machine can tell. */
function findFresh(reference: PullableReference): ReferenceRecord | undefined {
  const record = findStored(reference.text);
  if (record === undefined || reference.kind === "registry") return record;
  return record.stamp === localStamp(reference) ? record : undefined;
}

function toResolved(record: ReferenceRecord): ResolvedImage {
  const content = readContent(record.imageId);
  if (content === undefined) throw notHere(record.reference);
  markUsed(record.imageId);
  return {
    reference: record.reference,
    digest: record.digest,
    layers: [rootImagePath(record.imageId)],
    config: content.config,
    accounts: content.accounts,
  };
}

function pullOptions(options: ResolveOptions): PullOptions {
  return {
    log: options.log ?? (() => {}),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
}

/** Any write of the store may be the one that finds the disk full. */
async function explainingFullDisk<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MukonError && error.code === "IMAGE_STORE_FULL") throw error;
    throw isDiskFull(error) ? full(imagesDirectory(), error) : error;
  }
}

function notHere(reference: string): MukonError {
  return new MukonError("IMAGE_NOT_FOUND", `${reference} is not on this host`, {
    hint: `pull it: mukon image pull ${reference}`,
  });
}
