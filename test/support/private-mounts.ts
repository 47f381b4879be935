// SPDX-License-Identifier: Apache-2.0
import type { PodWorld } from "./pod-world.ts";

export interface PrivateMount {
  source: string;
  target: string;
  isReadOnly?: boolean;
}

/**
 * A command for {@link MukonOptions.under}: for what runs under it, and nobody else on the host,
 * these files or directories are others. Its mounts go away with its last process.
 */
export function privateMounts(world: PodWorld, mounts: readonly PrivateMount[]): string[] {
  const lines = mounts.flatMap(({ source, target, isReadOnly }) => [
    `mount --bind '${source}' '${target}'`,
    ...(isReadOnly === true ? [`mount -o remount,bind,ro '${target}'`] : []),
  ]);
  const script = world.write("private-mounts.sh", [...lines, 'exec "$@"', ""].join("\n"));
  return ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-e", script];
}
