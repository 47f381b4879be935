// SPDX-License-Identifier: Apache-2.0
import { filterSystemCalls } from "../../linux/seccomp/install.ts";
import { KEEPER_POLICY } from "./policy.ts";
import { restartWithoutRing } from "./without-ring.ts";

/**
 * Gives up what the launcher could not take away, before the first byte of a guest is read. The shim
 * waits until it sees this.
 * @throws SECCOMP_FAILED
 */
export function confineKeeper(): void {
  // It is about to read what a guest says; nothing that root could do may be within reach of that.
  if (process.getuid?.() === 0) throw new Error("the keeper does not run as root");
  restartWithoutRing();
  filterSystemCalls(KEEPER_POLICY);
}
