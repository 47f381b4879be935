// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { MukonError } from "../../errors/mukon-error.ts";
import { DOOR_SCRIPT } from "../jail/door.ts";
import { TOOL_PATH } from "../jail/types.ts";
import { dropTool, findTool } from "./tools.ts";
import type { ConfinedLaunch, UserNamespaceLaunch } from "./types.ts";

const DEFAULT_MAX_OPEN_FILES = 4096;
const MAX_OOM_SCORE_ADJUST = 1000;
const NO_ID = 0xffff_ffff;
const ROOT_IN_THERE = ["--setuid", "0", "--setgid", "0"];

/** Limits of the calling process, from /proc/self. */
export interface OwnLimits {
  hardMaxOpenFiles: number;
  oomScoreAdjust: number;
}

/**
 * The command that ends as the program: each tool drops one thing and executes the next, so the
 * process (and its pid) stays the same. With a jail, it waits at the door, given by its path; the
 * last tool, which gives up all rights (with the options `landlock`, to files as well), runs inside.
 * @throws LAUNCH_REFUSED, COMMAND_NOT_FOUND
 */
export function confinementChain(
  launch: ConfinedLaunch,
  options: { own?: OwnLimits; doorPath?: string; landlock?: readonly string[] } = {},
): string[] {
  assertLaunch(launch);
  const own = options.own ?? readOwnLimits();
  const files = Math.min(launch.maxOpenFiles ?? DEFAULT_MAX_OPEN_FILES, own.hardMaxOpenFiles);
  const score = Math.max(launch.oomScoreAdjust ?? 0, own.oomScoreAdjust);
  return [
    ...[findTool("unshare"), ...(launch.placeBehindWall === undefined ? ["--net"] : [])],
    ...["--ipc", "--uts"],
    ...[findTool("prlimit"), "--core=0", `--nofile=${files}:${files}`, "--"],
    ...(score === own.oomScoreAdjust ? [] : [findTool("choom"), "-n", String(score), "--"]),
    ...enter(launch.userNamespace, options.doorPath),
    options.doorPath === undefined ? dropTool() : TOOL_PATH,
    ...withoutRights(launch),
    ...(options.landlock ?? []),
    // After the change of ids, which clears it: the program must not outlive its shim.
    ...["--pdeathsig", "KILL", "--"],
    ...launch.argv,
  ];
}

/**
 * Into the jail, and into the user namespace. That one is opened through us, so that no descriptor of
 * it stays with the program.
 */
function enter(userNamespace: UserNamespaceLaunch | undefined, doorPath?: string): string[] {
  if (userNamespace === undefined && doorPath === undefined) return [];
  const nsenter = findTool("nsenter");
  const user =
    userNamespace === undefined
      ? []
      : [`--user=/proc/${process.pid}/fd/${userNamespace.descriptor}`, ...ROOT_IN_THERE];
  if (doorPath === undefined) return [nsenter, ...user, "--"];
  const door = [findTool("sh"), "-c", DOOR_SCRIPT, doorPath, dropTool(), findTool("env")];
  return [...door, nsenter, ...user, "--"];
}

/** Options of the tool that drops them. */
function withoutRights({ uid, gid, groups, userNamespace }: ConfinedLaunch): string[] {
  const none = ["--nnp", "--inh-caps=-all", "--ambient-caps=-all"];
  if (userNamespace !== undefined) {
    const kept = userNamespace.capabilities.map((name) => `,+${name}`).join("");
    return [...none, `--bounding-set=-all${kept}`];
  }
  return [
    ...["--reuid", String(uid), "--regid", String(gid)],
    ...(groups.length === 0 ? ["--clear-groups"] : [`--groups=${groups.join(",")}`]),
    ...[...none, "--bounding-set=-all"],
  ];
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
  if (launch.placeBehindWall !== undefined && launch.jail === undefined) {
    refuse("it would be in the host's network without a jail");
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
