// SPDX-License-Identifier: Apache-2.0
import { stat, truncate } from "node:fs/promises";
import { run } from "../../src/linux/run.ts";

/** virtio-pmem devices must be whole 2 MiB pages. */
const ALIGNMENT_BYTES = 2 * 1024 * 1024;
/** Fixed, so that the same tree gives the same image. */
const FIXED_UUID = "6d756b6f-6e00-4000-8000-000000000001";

/**
 * Makes an uncompressed EROFS image of a directory: everything owned by root, time 0.
 * Inline tails are off, since a file with one falls back from DAX to the page cache unnoticed.
 */
export async function makeErofs(
  treePath: string,
  imagePath: string,
  signal: AbortSignal,
): Promise<void> {
  const fixed = ["-T0", `-U${FIXED_UUID}`, "--all-root", "-x-1"];
  await run(["mkfs.erofs", "--quiet", ...fixed, "-Enoinline_data", imagePath, treePath], {
    signal,
  });
  const { size } = await stat(imagePath);
  await truncate(imagePath, Math.ceil(size / ALIGNMENT_BYTES) * ALIGNMENT_BYTES);
}
