// SPDX-License-Identifier: Apache-2.0
import { statfsSync } from "node:fs";
import { MukonError } from "../../src/errors/mukon-error.ts";

/** What the work directory holds at its peak: packages, the unpacked trees and the images. */
export const NEEDED_BYTES = 768 * 1024 * 1024;

/**
 * Fails before the long work starts when `directory`'s file system is nearly full.
 * @throws MukonError GUEST_DISK_FULL
 */
export function requireFreeSpace(directory: string, neededBytes: number = NEEDED_BYTES): void {
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = bavail * bsize;
  if (freeBytes < neededBytes) throw diskFull(directory, { freeBytes, neededBytes });
}

/** A failure of the build, told as its cause: a full disk, an interruption, or the error itself. */
export function explainFailure(error: unknown, directory: string, signal: AbortSignal): unknown {
  if (signal.aborted) {
    return new MukonError("GUEST_BUILD_INTERRUPTED", "The guest build was interrupted.", {
      hint: "Run `mukon guest build` again; what it downloaded is kept.",
      cause: error,
    });
  }
  if (isDiskFull(error)) return diskFull(directory, { cause: error });
  return error;
}

function diskFull(
  directory: string,
  facts: { freeBytes?: number; neededBytes?: number; cause?: unknown },
): MukonError {
  const needed = mebibytes(facts.neededBytes ?? NEEDED_BYTES);
  const found =
    facts.freeBytes === undefined ? "it is full" : `${mebibytes(facts.freeBytes)} are free`;
  return new MukonError(
    "GUEST_DISK_FULL",
    `The guest build needs about ${needed} on the file system of ${directory}, and ${found}.`,
    {
      hint: "Free some space there, or set MUKON_STATE_ROOT to a larger disk.",
      cause: facts.cause,
    },
  );
}

/** ENOSPC from Node itself, or the same in the words of a program that was run. */
function isDiskFull(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ("code" in current && (current.code === "ENOSPC" || current.code === "EDQUOT")) return true;
    const details = current instanceof MukonError ? JSON.stringify(current.details ?? {}) : "";
    if (/No space left on device|Disk quota exceeded/.test(current.message + details)) return true;
  }
  return false;
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / (1024 * 1024))} MiB`;
}
