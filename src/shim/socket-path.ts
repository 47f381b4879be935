// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { join, posix } from "node:path";
import { shimSocketsDirectory } from "../linux/paths.ts";

/** Hash characters kept: a socket's path has at most 107 bytes, and tests move the run root. */
const NAME_LENGTH = 40;

/**
 * Where the shim of a pod listens; made, as Go's shims do, of all that tells pods apart: the same
 * call always gives the same path.
 */
export function shimSocketPath(pod: { address: string; namespace: string; id: string }): string {
  const hash = createHash("sha256").update(posix.join(pod.address, pod.namespace, pod.id));
  return join(shimSocketsDirectory(), hash.digest("hex").slice(0, NAME_LENGTH));
}
