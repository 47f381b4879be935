// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { asMukonError, MukonError } from "../errors/mukon-error.ts";
import type { PodCgroup } from "../host/cgroups/pod-cgroup.ts";
import { KILLED_HINT } from "../host/jail/killed.ts";
import type { Journal } from "../host/journal/journal.ts";
import { launchConfined } from "../host/launcher/launch.ts";
import type {
  ConfinedLaunch,
  ExpectedConfinement,
  LaunchedProcess,
} from "../host/launcher/types.ts";
import { awaitConfinement, expectedConfinement, HAS_ENDED } from "../host/launcher/verify.ts";
import { killProcess } from "../linux/pidfd.ts";
import { hintFor } from "./last-words.ts";

const LAST_WORDS_MS = 500;
const MAX_CHARACTERS = 1000;

/**
 * Starts a program without rights and reads back from the kernel that it has none. When anything
 * differs, it is killed before it could be used.
 * @throws CONFINEMENT_BROKEN, LAUNCH_REFUSED, LAUNCH_FAILED, COMMAND_NOT_FOUND
 */
export async function launchVerified(
  launch: ConfinedLaunch,
  options: {
    journal: Journal;
    seccomp: ExpectedConfinement["seccomp"];
    cgroup?: PodCgroup | undefined;
  },
): Promise<LaunchedProcess> {
  const launched = await launchConfined(launch);
  const { pid, startTime } = launched;
  try {
    options.journal.append({
      type: "process",
      role: launch.role,
      pid,
      startTime: Number(startTime),
    });
    const { seccomp, cgroup } = options;
    await Promise.all([
      cgroup?.add(pid),
      awaitConfinement(launched, expectedConfinement(launch, { seccomp })),
    ]);
    return launched;
  } catch (error) {
    killProcess(launched, "SIGKILL");
    await hearOut(launched);
    throw withLastWords(error, launched, launch.role);
  }
}

/** What a program said before its end may still be on its way; it is waited for, but not for long. */
async function hearOut({ child }: LaunchedProcess): Promise<void> {
  const patience = new AbortController();
  const isOver = new Promise((done) => child.once("close", done));
  await Promise.race([
    isOver,
    delay(LAST_WORDS_MS, undefined, { signal: patience.signal }).catch(() => {}),
  ]);
  patience.abort();
}

/** A program that ended while it was looked at has said why on its standard error. */
function withLastWords(error: unknown, launched: LaunchedProcess, role: string): MukonError {
  const known = asMukonError(error);
  const said = launched.stderrTail().trim().slice(-MAX_CHARACTERS);
  const { exitCode, signalCode } = launched.child;
  const hasEnded = exitCode !== null || signalCode !== null;
  if (hasEnded && isEndAlone(known))
    return endedAtOnce({ role, exitCode, signalCode, said, known });
  if (said === "") return known;
  return new MukonError(known.code, `${known.message}; it said: ${said}`, {
    cause: error,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
    ...(known.details === undefined ? {} : { details: known.details }),
  });
}

/** Nothing is wrong with it but that it is not there any more. */
function isEndAlone({ code, details }: MukonError): boolean {
  return code === "CONFINEMENT_BROKEN" && isDeepStrictEqual(details?.deviations, [HAS_ENDED]);
}

function endedAtOnce(end: {
  role: string;
  exitCode: number | null;
  signalCode: NodeJS.Signals | null;
  said: string;
  known: MukonError;
}): MukonError {
  const { role, exitCode, signalCode, said, known } = end;
  const words = said === "" ? "" : `: ${said}`;
  const hint = hintFor(said) ?? (signalCode === "SIGKILL" ? KILLED_HINT : undefined);
  const how = signalCode === null ? `with exit code ${exitCode}` : `by ${signalCode}`;
  return new MukonError("LAUNCH_FAILED", `${role} ended at once, ${how}${words}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { role, ...(signalCode !== null && { signal: signalCode }) },
    cause: known,
  });
}
