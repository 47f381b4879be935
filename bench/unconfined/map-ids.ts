// SPDX-License-Identifier: Apache-2.0
import { type BindOptions, bindMount } from "../../src/linux/mount-tree.ts";

/** In the place of an ID-mapped mount: owners are as on disk, as root reads and writes them all. */
export function mapIds(source: string, target: string, options: BindOptions): void {
  const { readOnly = false, isRecursive = false } = options;
  bindMount(source, target, { readOnly, isRecursive });
}
