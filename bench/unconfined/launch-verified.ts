// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { collectTail } from "../../src/host/launcher/stderr-tail.ts";
import type { ConfinedLaunch, LaunchedProcess } from "../../src/host/launcher/types.ts";
import { readStartTime } from "../../src/linux/process-status.ts";

/** In the place of the launcher: the same command and descriptors, as root, and nothing is looked at. */
export async function launchVerified(launch: ConfinedLaunch): Promise<LaunchedProcess> {
  const argv = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", ...outsideOf(launch)];
  const [program = "", ...args] = argv;
  const child = spawn(program, args, { stdio: [...launch.stdio], env: {}, cwd: "/" });
  const stderrTail = collectTail(child.stderr);
  child.on("error", () => {});
  const startTime = child.pid === undefined ? undefined : readStartTime(child.pid);
  if (child.pid === undefined || startTime === undefined) {
    throw new Error(`${launch.role} could not be started`);
  }
  return { pid: child.pid, startTime, child, stderrTail };
}

/** Its command without the system call filter, and with the path that its jail would have had. */
function outsideOf({ argv, jail }: ConfinedLaunch): string[] {
  const filter = argv.indexOf("-sandbox");
  const open = argv.filter((_, index) => filter === -1 || index < filter || index > filter + 1);
  const shared = jail?.shared;
  return shared === undefined
    ? open
    : open.map((word) => word.replaceAll(shared.at, shared.directory));
}
