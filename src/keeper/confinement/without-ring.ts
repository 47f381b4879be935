// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readlinkSync } from "node:fs";
import { setCloseOnExec } from "../../linux/descriptors.ts";
import { filterSystemCalls } from "../../linux/seccomp/install.ts";
import { systemCall } from "../../linux/system-call.ts";
import { KEEPER_DESCRIPTORS } from "../../sandbox/messages/limits.ts";

const RING = "anon_inode:[io_uring]";
const RESTARTED = "--without-io-uring";

const execute = systemCall(
  "int execve(const char *path, const char **arguments, const char **environment)",
);

/**
 * Newer versions of libuv (Debian 13: 1.50) keep an io_uring in each event loop from the start, and no
 * setting keeps them from it. What goes through a ring no filter sees, so nobody may have one: this
 * forbids new ones and starts the program again, in the same process; then libuv does without.
 * @throws SECCOMP_FAILED; Error where a ring is there all the same
 */
export function restartWithoutRing(): void {
  if (!hasRing()) return;
  if (process.argv.includes(RESTARTED)) throw new Error("an io_uring is open that was forbidden");
  filterSystemCalls({
    ...{ allowed: [], checked: {}, deadly: [] },
    ...{ unknown: ["io_uring_setup"], otherwise: "allowed" },
  });
  // Node has marked all that it was started with.
  for (const fd of [0, 1, 2, ...Object.values(KEEPER_DESCRIPTORS)]) setCloseOnExec(fd, false);
  const words = [process.execPath, process.argv[1] ?? "", RESTARTED];
  execute(process.execPath, [...words, null], [null]);
}

function hasRing(): boolean {
  return readdirSync("/proc/self/fd").some((name) => {
    try {
      return readlinkSync(`/proc/self/fd/${name}`) === RING;
    } catch {
      // That of the listing itself.
      return false;
    }
  });
}
