// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, readFileSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { TOOL_DIRECTORY } from "../jail/types.ts";
import { MOUNT_ROOT_SCRIPT } from "./mount-root.ts";
import type { ConfinedLaunch, MountRoot, UserNamespaceLaunch } from "./types.ts";

/** Not out of PATH: whoever calls us may have put anything there. */
const TOOL_DIRECTORIES = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
const DEFAULT_MAX_OPEN_FILES = 4096;
const MAX_OOM_SCORE_ADJUST = 1000;
const NO_ID = 0xffff_ffff;

/** Limits of the calling process, from /proc/self. */
export interface OwnLimits {
  hardMaxOpenFiles: number;
  oomScoreAdjust: number;
}

/**
 * The command that ends as the program: each tool drops one thing and executes the next, so the
 * process (and its pid) stays the same. The last of them runs in the jail, if there is one, whose
 * mount namespace is given by a path.
 * @throws LAUNCH_REFUSED, COMMAND_NOT_FOUND
 */
export function confinementChain(
  launch: ConfinedLaunch,
  options: { own?: OwnLimits; mountNamespacePath?: string } = {},
): string[] {
  assertLaunch(launch);
  const own = options.own ?? readOwnLimits();
  const files = Math.min(launch.maxOpenFiles ?? DEFAULT_MAX_OPEN_FILES, own.hardMaxOpenFiles);
  const score = Math.max(launch.oomScoreAdjust ?? 0, own.oomScoreAdjust);
  return [
    ...[findTool("unshare"), "--net", "--ipc", "--uts"],
    ...(launch.mountRoot === undefined ? [] : ["--mount", "--propagation", "slave"]),
    ...[findTool("prlimit"), "--core=0", `--nofile=${files}:${files}`, "--"],
    ...(score === own.oomScoreAdjust ? [] : [findTool("choom"), "-n", String(score), "--"]),
    ...(launch.mountRoot === undefined ? [] : inOwnRoot(launch.mountRoot, launch.argv[0] ?? "")),
    ...(launch.userNamespace === undefined
      ? [...enterJail(options.mountNamespacePath), ...withoutRights(launch)]
      : inUserNamespace(launch.userNamespace)),
    // After the change of ids, which clears it: the program must not outlive its shim.
    ...["--pdeathsig", "KILL", "--"],
    ...launch.argv,
  ];
}

function inOwnRoot(root: MountRoot, program: string): string[] {
  const { emptyDirectory, sharedDirectory } = root;
  const name = "mukon-mount-root";
  return [findTool("sh"), "-c", MOUNT_ROOT_SCRIPT, name, emptyDirectory, sharedDirectory, program];
}

function withoutRights({ uid, gid, groups }: ConfinedLaunch): string[] {
  return [
    ...["--reuid", String(uid), "--regid", String(gid)],
    ...(groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`]),
    ...["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"],
  ];
}

/** The namespace is opened through us, so that no descriptor of it stays with the program. */
function inUserNamespace({ descriptor, capabilities }: UserNamespaceLaunch): string[] {
  const kept = capabilities.map((name) => `,+${name}`).join("");
  return [
    ...[findTool("nsenter"), `--user=/proc/${process.pid}/fd/${descriptor}`],
    ...["--setuid", "0", "--setgid", "0", "--"],
    ...[findTool("setpriv"), "--nnp", "--inh-caps=-all", "--ambient-caps=-all"],
    `--bounding-set=-all${kept}`,
  ];
}

/** Up to the name of the tool that drops all rights. */
function enterJail(mountNamespacePath: string | undefined): string[] {
  if (mountNamespacePath === undefined) return [dropTool()];
  const inside = join(TOOL_DIRECTORY, basename(dropTool()));
  return [findTool("nsenter"), `--mount=${mountNamespacePath}`, "--", inside];
}

/**
 * The tool that changes ids and drops capabilities, which has to be in every jail.
 * @throws COMMAND_NOT_FOUND
 */
export function dropTool(): string {
  return findTool("setpriv");
}

/** @throws LAUNCH_REFUSED when it asks for what no guest-facing process may have */
function assertLaunch(launch: ConfinedLaunch): void {
  const refuse = (why: string): never => {
    throw new MukonError("LAUNCH_REFUSED", `${launch.role} was not started: ${why}`);
  };
  const isId = (id: number): boolean => Number.isSafeInteger(id) && id >= 0 && id < NO_ID;
  if (![launch.uid, launch.gid, ...launch.groups].every(isId)) {
    refuse("a user or group id is not a number of that kind");
  }
  if (launch.isRootAllowed !== true && (launch.uid === 0 || launch.gid === 0)) {
    refuse("it would run as root, which nobody asked for");
  }
  if (launch.groups.includes(0)) refuse("it would be in the root group");
  if (launch.groups.length > 1) refuse("it would have more groups than that of /dev/kvm");
  if (launch.userNamespace !== undefined && launch.groups.length > 0) {
    refuse("the root of a user namespace would be in a group of the host's");
  }
  if (!isAbsolute(launch.argv[0] ?? "")) refuse("its program is not given by an absolute path");
}

export function readOwnLimits(): OwnLimits {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return {
    hardMaxOpenFiles: hard === undefined ? DEFAULT_MAX_OPEN_FILES : Number(hard),
    oomScoreAdjust: Math.min(
      Number(readFileSync("/proc/self/oom_score_adj", "utf8")),
      MAX_OOM_SCORE_ADJUST,
    ),
  };
}

/** @throws COMMAND_NOT_FOUND */
function findTool(name: string): string {
  for (const directory of TOOL_DIRECTORIES) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Somewhere else, then.
    }
  }
  throw new MukonError("COMMAND_NOT_FOUND", `${name} is not installed`, {
    hint: "install it: apt-get install util-linux",
  });
}
