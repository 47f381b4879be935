// SPDX-License-Identifier: Apache-2.0
import { setCloseOnExec } from "./descriptors.ts";
import { systemCall } from "./system-call.ts";

const execve = systemCall(
  "int execve(const char *path, const char **arguments, const char **environment)",
);

/**
 * Becomes another program, in the same process, with an empty environment; returns only by throwing.
 * @param kept descriptors that it has beside the first three: Node has marked all that it was started
 *   with to be closed
 * @throws SystemCallError
 */
export function execute(argv: readonly [string, ...string[]], kept: readonly number[]): void {
  for (const fd of [0, 1, 2, ...kept]) setCloseOnExec(fd, false);
  execve(argv[0], [...argv, null], [null]);
}
