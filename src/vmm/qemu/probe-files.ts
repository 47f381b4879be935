// SPDX-License-Identifier: Apache-2.0
import { openReadable } from "../../linux/readable-file.ts";

const GROUP_AND_OTHERS_READ = 0o044;

/**
 * Opens a file for the probe, as it is opened for a pod's VMM: without that the probe would fail
 * where the pod would not. Its user is a member of one group more, which could be the file's; so both
 * must be allowed to read. The descriptor is the caller's to close. Errors: `ASSET_INVALID`.
 */
export function openForProbe(path: string): number {
  const isReadable = (mode: number): boolean =>
    (mode & GROUP_AND_OTHERS_READ) === GROUP_AND_OTHERS_READ;
  return openReadable(path, ({ mode }) => isReadable(mode));
}
