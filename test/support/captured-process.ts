// SPDX-License-Identifier: Apache-2.0
import { run } from "../../src/linux/run.ts";

/** Runs each of its arguments, and prints those that succeed. */
const TRY_EACH = 'for probe; do (eval "$probe") >/dev/null 2>&1 && echo "$probe"; done; true';

export interface Captured {
  pid: number;
  uid: number;
  gid: number;
  groups: readonly number[];
}

/**
 * What an attacker who owns a process can do on the host: runs shell commands with the same ids
 * and namespaces, and as little right, and resolves to those that succeed.
 */
export async function tryAs(captured: Captured, probes: readonly string[]): Promise<string[]> {
  const { pid, uid, gid, groups } = captured;
  const { stdout } = await run([
    ...["nsenter", "--target", String(pid), "--net", "--ipc", "--uts", "--"],
    ...["setpriv", "--reuid", String(uid), "--regid", String(gid)],
    ...(groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`]),
    ...["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"],
    ...["/bin/sh", "-c", TRY_EACH, "sh", ...probes],
  ]);
  return stdout.split("\n").filter(Boolean);
}
