// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { callAlone } from "../one-call-program.ts";
import { DOES_NOTHING } from "../passt-walls.ts";
import { call } from "../system.ts";
import type { Attempt } from "../types.ts";

const NO_CAPABILITY = "no capability in any set, no_new_privs";
const NEWUSER = 0x1000_0000;
const CAPABILITY_VERSION_3 = 0x2008_0522;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const CAP_SYS_ADMIN = 21;
const RLIMIT_NOFILE = 7;

export const RIGHTS: readonly Attempt[] = [
  notForRootOfNamespace("become root", ["EPERM", "EINVAL"], () => call("setuid", 0)),
  notForRootOfNamespace("become the root group", ["EPERM", "EINVAL"], () => call("setgid", 0)),
  notForRootOfNamespace("take a supplementary group", ["EPERM"], () => {
    call("setgroups", 1, Buffer.from([42, 0, 0, 0]));
  }),
  refused("become the user of another pod", ["EPERM", "EINVAL"], ({ otherUid }) => {
    call("setresuid", otherUid, otherUid, otherUid);
  }),
  refused("give itself all capabilities", ["EPERM"], () => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(CAPABILITY_VERSION_3);
    call("capset", header, Buffer.alloc(24, 0xff));
  }),
  refused("raise an ambient capability", ["EPERM"], () => {
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
  }),
  {
    name: "make a user namespace, and be root in there",
    wall: "its root is below that of its mount namespace: user_namespaces(7) forbids it",
    refusals: ["EPERM"],
    forPasst: DOES_NOTHING,
    run: () => callAlone("unshare", NEWUSER),
  },
  {
    name: "map root into its user namespace",
    wall: "its /proc is read-only; no capability in the user namespace above",
    refusals: ["EPERM", "EACCES", "EROFS"],
    run: () => writeFileSync("/proc/self/uid_map", "0 0 1"),
  },
  {
    name: "run a program with the suid bit",
    wall: "the jail has none, and is nosuid",
    refusals: ["ENOENT"],
    run: ({ suidPrograms }) => {
      for (const path of suidPrograms) {
        const { error } = spawnSync(path, ["--version"], { stdio: "ignore" });
        if (error === undefined) return;
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
      throw Object.assign(new Error(), { code: "ENOENT" });
    },
  },
  {
    name: "be killed last when memory is short",
    wall: "its /proc is read-only; needs CAP_SYS_RESOURCE",
    refusals: ["EACCES", "EPERM", "EROFS"],
    run: () => writeFileSync("/proc/self/oom_score_adj", "-1000"),
  },
  refused("open more files than its limit", ["EPERM"], () => {
    const limit = Buffer.alloc(16);
    limit.writeBigUInt64LE(4_000_000n, 0);
    limit.writeBigUInt64LE(4_000_000n, 8);
    call("setrlimit", RLIMIT_NOFILE, limit);
  }),
  refused("run before all others (real time)", ["EPERM"], () => {
    call("sched_setscheduler", 0, 1, Buffer.from([50, 0, 0, 0]));
  }),
  refused("run before all others (priority)", ["EPERM", "EACCES"], () => {
    call("setpriority", 0, 0, -20);
  }),
];

/** As {@link refused}, but for virtiofsd, which is root of a user namespace without root in it. */
function notForRootOfNamespace(...attempt: Parameters<typeof refused>): Attempt {
  return { ...refused(...attempt), notFor: "virtiofsd" };
}

function refused(
  name: string,
  refusals: readonly string[],
  run: Attempt["run"] | (() => unknown),
): Attempt {
  return { name, refusals, wall: NO_CAPABILITY, run: (targets) => void run(targets) };
}
