// SPDX-License-Identifier: Apache-2.0
// Puts a filter of system calls on itself, and becomes passt. The shim cannot do that from outside, and
// the last tool of a launch (setpriv) learned it in util-linux 2.41 only.
import { execute } from "../linux/execute.ts";
import { filterSystemCalls } from "../linux/seccomp/install.ts";
import { PASST_POLICY } from "./policy.ts";

/** The socket that leads to the VMM. */
const SOCKET = 3;

function main([program, ...args]: readonly string[]): void {
  if (program === undefined) throw new Error("nothing says what to become");
  if (process.getuid?.() === 0) throw new Error("passt does not run as root");
  filterSystemCalls(PASST_POLICY);
  execute([program, ...args], [SOCKET]);
}

main(process.argv.slice(2));
