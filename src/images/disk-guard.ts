// SPDX-License-Identifier: Apache-2.0
import { statfsSync } from "node:fs";
import { MukonError } from "../errors/mukon-error.ts";
import type { ImageLimits } from "./limits.ts";

const POLL_MS = 200;
/** The disk is never filled up: the least of these two stays free. */
const RESERVE_BYTES = 256 * 1024 * 1024;
const RESERVE_SHARE = 0.05;

/**
 * Runs `work` and stops it (by its signal) when the file system of `directory` runs low, or when
 * more is written than the limits allow. What others write meanwhile counts too: a tree of
 * millions of files is not worth walking five times a second.
 * @throws IMAGE_STORE_FULL, IMAGE_TOO_LARGE, or what `work` throws
 */
export async function guardDisk<Result>(
  options: { directory: string; limits: ImageLimits; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const start = freeSpace(options.directory);
  let trouble = start.isLow ? full(options.directory) : undefined;
  if (trouble !== undefined) throw trouble;
  const controller = new AbortController();
  const watch = (): void => {
    trouble ??= findTrouble(start, options);
    if (trouble !== undefined) controller.abort();
  };
  const timer = setInterval(watch, POLL_MS);
  const abort = (): void => controller.abort();
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted === true) abort();
  try {
    const result = await work(controller.signal);
    watch();
    if (trouble !== undefined) throw trouble;
    return result;
  } catch (error) {
    // The program's own complaint about a full disk is less clear than ours.
    watch();
    throw trouble ?? (isDiskFull(error) ? full(options.directory, error) : error);
  } finally {
    clearInterval(timer);
    options.signal?.removeEventListener("abort", abort);
  }
}

/** True when an error, or one that caused it, says that there is no room left. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "IMAGE_STORE_FULL") return true;
  return (
    /no space left on device|disk quota exceeded/i.test(error.message) || isDiskFull(error.cause)
  );
}

export function full(directory: string, cause?: unknown): MukonError {
  return new MukonError(
    "IMAGE_STORE_FULL",
    `there is not enough room for the image on the file system of ${directory}`,
    {
      hint: "make room (mukon image rm, mukon gc), or set MUKON_STATE_ROOT to a directory on a larger disk",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

interface FreeSpace {
  bytes: number;
  /** Infinite where a file system has no fixed number. */
  files: number;
  isLow: boolean;
}

function freeSpace(directory: string): FreeSpace {
  const { bavail, bsize, blocks, ffree, files } = statfsSync(directory);
  const bytes = bavail * bsize;
  const reserve = Math.min(RESERVE_BYTES, blocks * bsize * RESERVE_SHARE);
  const hasFileCount = files > 0;
  return {
    bytes,
    files: hasFileCount ? ffree : Number.POSITIVE_INFINITY,
    isLow: bytes < reserve || (hasFileCount && ffree < files * 0.01),
  };
}

function findTrouble(
  start: FreeSpace,
  options: { directory: string; limits: ImageLimits },
): MukonError | undefined {
  const now = freeSpace(options.directory);
  if (now.isLow) return full(options.directory);
  const { maxBytes, maxFiles } = options.limits;
  if (start.bytes - now.bytes > maxBytes) return tooLarge(`${maxBytes} bytes`);
  if (start.files - now.files > maxFiles) return tooLarge(`${maxFiles} files`);
  return undefined;
}

export function tooLarge(limit: string): MukonError {
  return new MukonError("IMAGE_TOO_LARGE", `the image needs more than ${limit}`, {
    hint: "use a smaller image: this bound keeps a bad one from filling the disk",
  });
}
