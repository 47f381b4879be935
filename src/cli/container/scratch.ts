// SPDX-License-Identifier: Apache-2.0
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { run } from "../../linux/run.ts";

/** Makes a sparse file with an empty ext4 file system: it takes room on disk only as it is written. */
export async function makeScratchDisk(path: string, bytes: number): Promise<void> {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    ftruncateSync(descriptor, bytes);
  } finally {
    closeSync(descriptor);
  }
  await run([
    "mkfs.ext4",
    "-q",
    "-F",
    "-m",
    "0",
    "-E",
    "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0",
    path,
  ]);
}
