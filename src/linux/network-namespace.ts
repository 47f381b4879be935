// SPDX-License-Identifier: Apache-2.0
import { closeSync, constants, openSync } from "node:fs";
import { systemCall } from "./system-call.ts";

const CLONE_NEWNET = 0x4000_0000;

const setns = systemCall("int setns(int fd, int type)");

/**
 * Runs `work` in another network namespace, and only `work`: it must be synchronous, as what Node
 * does on other threads, or later, happens in our own. setns(2).
 * @throws SystemCallError when the descriptor is no network namespace
 */
export function inNetworkNamespace<Result>(namespace: number, work: () => Result): Result {
  const own = openSync("/proc/thread-self/ns/net", constants.O_RDONLY);
  try {
    setns(namespace, CLONE_NEWNET);
    try {
      return work();
    } finally {
      comeBack(own);
    }
  } finally {
    closeSync(own);
  }
}

function comeBack(own: number): void {
  try {
    setns(own, CLONE_NEWNET);
  } catch {
    // All that follows would be done in somebody else's network.
    process.abort();
  }
}
