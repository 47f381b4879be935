// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync } from "node:fs";
import { TOOL_PATH } from "../../src/host/jail/types.ts";
import { run } from "../../src/linux/run.ts";

/** Runs each of its arguments, and prints those that succeed. */
const TRY_EACH = 'for probe; do (eval "$probe") >/dev/null 2>&1 && echo "$probe"; done; true';
/** They need no library but the C library, which is in every jail. */
const TOOLS = ["cat", "unshare", "chroot", "hostname", "setpriv", "pivot_root"];
const SHELL = "/bin/sh";
const FIRST_DESCRIPTOR = 3;

export interface Captured {
  pid: number;
  uid: number;
  gid: number;
  groups: readonly number[];
}

/** One that a tool can be told to run. */
export const PROGRAM = `/proc/self/fd/${FIRST_DESCRIPTOR + 1} --version`;

/** That they succeed shows that the attempts of an attacker have what they need. */
export const CONTROLS: readonly string[] = [
  ...TOOLS.map((tool) => `${tool} --version`),
  PROGRAM,
  ": </etc/ld.so.cache",
];

/**
 * What an attacker who owns a process can do on the host: runs shell commands in all of its
 * namespaces, in its jail, with the same ids and as little right, and resolves to those that succeed.
 * A jail has no shell; the attacker brings it along, and some tools, as open files.
 */
export async function tryAs(captured: Captured, probes: readonly string[]): Promise<string[]> {
  const { pid, uid, gid, groups } = captured;
  const pathOf = (index: number): string => `/proc/self/fd/${FIRST_DESCRIPTOR + index}`;
  const functions = TOOLS.map((tool, index) => `${tool}() { ${pathOf(index + 1)} "$@"; }`);
  const descriptors = [SHELL, ...TOOLS.map((tool) => `/usr/bin/${tool}`)].map(openProgram);
  try {
    const { stdout } = await run(
      [
        ...["nsenter", "--target", String(pid), "--mount", "--root", "--wd"],
        ...["--pid", "--net", "--ipc", "--uts", "--"],
        ...[TOOL_PATH, "--reuid", String(uid), "--regid", String(gid)],
        ...(groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`]),
        ...["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"],
        ...[pathOf(0), "-c", `${functions.join("\n")}\n${TRY_EACH}`, "sh", ...probes],
      ],
      { descriptors },
    );
    return stdout.split("\n").filter(Boolean);
  } finally {
    for (const fd of descriptors) closeSync(fd);
  }
}

function openProgram(path: string): number {
  try {
    return openSync(path, "r");
  } catch {
    return openSync(path.replace("/bin/", "/sbin/"), "r");
  }
}
