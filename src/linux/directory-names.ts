// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from "node:fs";

/** What is in a directory; nothing, when it cannot be listed. */
export function directoryNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
