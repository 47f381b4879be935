// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readlinkSync } from "node:fs";
import { execute } from "../../linux/execute.ts";
import { filterSystemCalls } from "../../linux/seccomp/install.ts";
import { KEEPER_DESCRIPTORS } from "../../sandbox/messages/limits.ts";

const RING = "anon_inode:[io_uring]";
const RESTARTED = "--without-io-uring";

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
  const argv: [string, ...string[]] = [process.execPath, process.argv[1] ?? "", RESTARTED];
  execute(argv, Object.values(KEEPER_DESCRIPTORS));
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
