// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import { setCloseOnExec } from "../../linux/descriptors.ts";
import { readNamespaces, readStartTime } from "../../linux/process-status.ts";
import { KILLED_HINT } from "../jail/killed.ts";
import { type Jailed, spawnJailed } from "../jail/spawn-jailed.ts";
import { confinementChain } from "./chain.ts";
import { landlockOptions } from "./landlock.ts";
import { collectTail } from "./stderr-tail.ts";
import { dropTool, findTool } from "./tools.ts";
import type { ConfinedLaunch, LaunchedProcess } from "./types.ts";

const POLL_MS = 1;
const CHAIN_TIMEOUT_MS = 10_000;

/**
 * Starts a program without rights, and resolves when it is the program itself that runs (no longer
 * the tools before it). What it then is, {@link verifyConfinement} must see for itself.
 *
 * It has namespaces of its own for network, IPC and host name; an empty environment; "/" as its
 * directory; its own session. In a jail it has mounts and pids of its own, too. It is killed when the
 * thread that called this ends.
 * @throws LAUNCH_REFUSED, JAIL_NOT_BUILT, LAUNCH_FAILED, COMMAND_NOT_FOUND
 */
export async function launchConfined(launch: ConfinedLaunch): Promise<LaunchedProcess> {
  const { child, isProgram, entered } = start(launch);
  try {
    return await follow(child, launch, isProgram);
  } finally {
    entered();
  }
}

interface Started extends Jailed {
  /** Whether it is the program that runs, and none of the tools before it any more. */
  isProgram(pid: number): boolean;
}

function start(launch: ConfinedLaunch): Started {
  keepDescriptors();
  if (launch.jail === undefined) {
    const chain = confinementChain(launch);
    const tools = identitiesOf(chain.slice(0, chain.length - launch.argv.length));
    const isProgram = (pid: number): boolean => isNoneOf(tools, pid);
    return { child: spawnChain(chain, launch), isProgram, entered: () => {} };
  }
  const tools = identitiesOf([findTool("nsenter"), dropTool()]);
  const outside = readNamespaces(process.pid).mnt;
  // Before there is a new pid namespace, which would end with what is tried for this.
  const landlock = landlockOptions(launch.jail, launch.stdio);
  const jailed = inItsName(launch.role, launch.jail, (doorPath) => {
    const child = spawnChain(confinementChain(launch, { doorPath, landlock }), launch);
    placeBehindWall(child, launch);
    return child;
  });
  const isProgram = (pid: number): boolean =>
    ![outside, undefined].includes(readNamespaces(pid).mnt) && isNoneOf(tools, pid);
  return { ...jailed, isProgram };
}

/** As {@link spawnJailed}; a jail that could not be built says whose it is. */
function inItsName(role: string, ...[jail, spawnAt]: Parameters<typeof spawnJailed>): Jailed {
  try {
    return spawnJailed(jail, spawnAt);
  } catch (cause) {
    if (!(cause instanceof MukonError) || cause.code !== "JAIL_NOT_BUILT") throw cause;
    const { code, message, hint, details } = cause;
    throw new MukonError(code, `${role}: ${message}`, {
      ...(hint !== undefined && { hint }),
      details: { ...details, role },
      cause,
    });
  }
}

/** It waits at the door meanwhile: it has no socket yet, and what it makes later is behind the wall. */
function placeBehindWall(child: ChildProcess, { placeBehindWall: place }: ConfinedLaunch): void {
  try {
    if (child.pid !== undefined) place?.(child.pid);
  } catch (error) {
    child.on("error", () => {});
    child.kill("SIGKILL");
    throw error;
  }
}

function spawnChain([file, ...args]: readonly string[], launch: ConfinedLaunch): ChildProcess {
  return spawn(file ?? "", args, {
    stdio: [...launch.stdio],
    env: {},
    cwd: "/",
    detached: true,
  });
}

async function follow(
  child: ChildProcess,
  launch: ConfinedLaunch,
  isProgram: Started["isProgram"],
): Promise<LaunchedProcess> {
  const stderrTail = collectTail(child.stderr);
  // Without a listener a failed start would end the whole shim.
  let startError: Error | undefined;
  child.on("error", (error) => {
    startError = error;
  });
  const startTime = child.pid === undefined ? undefined : readStartTime(child.pid);
  if (child.pid === undefined || startTime === undefined) {
    await sleep(0);
    throw failed(launch, startError?.message ?? "it ended at once");
  }
  const launched = { pid: child.pid, startTime, child, stderrTail };
  await awaitProgram(launched, launch, isProgram);
  return launched;
}

/**
 * Whoever started us may have left descriptors open that every program of ours would inherit.
 * Node marks its own, but not those.
 */
function keepDescriptors(): void {
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      setCloseOnExec(fd, true);
    } catch {
      // Was that of the listing itself, which is closed by now.
    }
  }
}

async function awaitProgram(
  launched: LaunchedProcess,
  launch: ConfinedLaunch,
  isProgram: Started["isProgram"],
): Promise<void> {
  const deadline = Date.now() + CHAIN_TIMEOUT_MS;
  for (;;) {
    if (hasEnded(launched.child)) {
      // Lets the pipe of standard error deliver what was said.
      await sleep(20);
      throw failed(launch, endOf(launched), launched.child.signalCode);
    }
    if (isProgram(launched.pid)) return;
    if (Date.now() >= deadline) {
      launched.child.kill("SIGKILL");
      throw failed(launch, `it did not get going within ${CHAIN_TIMEOUT_MS} ms`);
    }
    await sleep(POLL_MS);
  }
}

function isNoneOf(tools: ReadonlySet<string>, pid: number): boolean {
  const executable = identityOfFile(`/proc/${pid}/exe`);
  return executable !== undefined && !tools.has(executable);
}

function identitiesOf(words: readonly string[]): ReadonlySet<string> {
  const paths = words.filter((word) => word.startsWith("/"));
  return new Set(paths.map(identityOfFile).filter((identity) => identity !== undefined));
}

/** Device and inode: a path may be a link, and mean something else in another namespace. */
function identityOfFile(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function endOf({ child, stderrTail }: LaunchedProcess): string {
  const how =
    child.exitCode === null
      ? `it was killed by ${child.signalCode}`
      : `it ended with exit code ${child.exitCode}`;
  const said = stderrTail().trim();
  return said === "" ? how : `${how}: ${said}`;
}

function failed(
  launch: ConfinedLaunch,
  why: string,
  signal: NodeJS.Signals | null = null,
): MukonError {
  return new MukonError("LAUNCH_FAILED", `${launch.role} (${launch.argv[0]}) failed: ${why}`, {
    details: { role: launch.role, uid: launch.uid, ...(signal !== null && { signal }) },
    ...(signal === "SIGKILL" && { hint: KILLED_HINT }),
  });
}
