// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";
import { withLock } from "../../linux/lock.ts";
import { type RunResult, run } from "../../linux/run.ts";
import { runLock } from "../run-directories.ts";
import { accountComment } from "./accounts.ts";
import type { NewUser } from "./user-records.ts";

const LOCK_FILES = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"].map(
  (file) => `${file}.lock`,
);
const TIMEOUT_MS = 60_000;
const LOCK_ATTEMPTS = 50;
const LOCK_PAUSE_MS = 200;
/**
 * When their shim is killed, these programs go on, and have something to say. A broken pipe would end them
 * half-way, with the locks of the user database in their hands. env(1)
 */
const UNBROKEN = ["env", "--ignore-signal=PIPE", "--"];
/** Exit codes of useradd(8), userdel(8), groupadd(8) and groupdel(8). */
const UNKNOWN_NAME = 6;
const IN_USE = 8;

/**
 * Makes a user and a group with exactly this id: no home, no login, no subordinate ids, and no
 * entry in lastlog, which would grow to the size of the id.
 * @throws USER_NOT_CREATED, USER_DATABASE_LOCKED, USER_DATABASE_READ_ONLY
 */
export async function createUser({ name, id }: NewUser): Promise<void> {
  const number = String(id);
  await exclusively("USER_NOT_CREATED", ["groupadd", "-g", number, name]);
  await exclusively("USER_NOT_CREATED", [
    "useradd",
    ...["-u", number, "-g", number, "-M", "-N", "-d", "/", "-s", "/usr/sbin/nologin"],
    ...["-c", accountComment(), "--no-log-init", "-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"],
    name,
  ]);
}

/**
 * Idempotent. All processes of the user must be gone.
 * @throws USER_NOT_REMOVED, USER_DATABASE_LOCKED, USER_DATABASE_READ_ONLY
 */
export async function removeUser({ name }: NewUser): Promise<void> {
  await exclusively("USER_NOT_REMOVED", ["userdel", name], [UNKNOWN_NAME]);
  // userdel removes the group of the same name too, unless it is told not to in login.defs.
  await exclusively("USER_NOT_REMOVED", ["groupdel", name], [UNKNOWN_NAME]);
}

type FailureCode = "USER_NOT_CREATED" | "USER_NOT_REMOVED";

/**
 * One of ours at a time: their own locks give up after a while, ours waits in line. One whose shim was
 * killed still has its turn: who cleans up after it would look too early otherwise.
 */
async function exclusively(
  code: FailureCode,
  argv: readonly string[],
  accepted: readonly number[] = [],
): Promise<void> {
  await withLock(runLock("useradd"), async (lock) => {
    let result: RunResult | undefined;
    for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt += 1) {
      if (attempt > 0) await sleep(LOCK_PAUSE_MS);
      result = await run([...UNBROKEN, ...argv], {
        allowFailure: true,
        timeoutMs: TIMEOUT_MS,
        descriptors: [lock],
      });
      if (result.code === 0 || accepted.includes(result.code ?? -1)) return;
      if (!isLocked(result)) break;
    }
    if (result !== undefined) throw explain(code, argv, result);
  });
}

function isLocked(result: RunResult): boolean {
  return /cannot lock|existing lock file/.test(result.stderr);
}

/** The tools say "cannot lock" for everything; the reason is found out here. */
function explain(code: FailureCode, argv: readonly string[], result: RunResult): MukonError {
  const said = `${argv[0]} said: ${result.stderr.trim().replaceAll(/\s*\n\s*/g, "; ")}`;
  if (isReadOnly("/etc")) {
    return new MukonError("USER_DATABASE_READ_ONLY", `/etc cannot be written to; ${said}`, {
      hint: 'install libnss-systemd and use identity_backend = "user-records" in [mukon], which writes nothing to /etc',
    });
  }
  if (isLocked(result)) {
    const { holders, hint } = explainLock();
    return new MukonError(
      "USER_DATABASE_LOCKED",
      `the user database is locked${holders}; ${said}`,
      {
        hint,
      },
    );
  }
  const isBusy = result.code === IN_USE;
  return new MukonError(code, `${argv.join(" ")} failed (exit code ${result.code}); ${said}`, {
    hint: isBusy
      ? "processes of this user are still there: end them, then mukon gc"
      : "see whether the name or the id is taken: getent passwd; getent group",
  });
}

function explainLock(): { holders: string; hint: string } {
  const found = LOCK_FILES.map((path) => ({ path, pid: readLock(path) })).filter(
    ({ pid }) => pid !== undefined,
  );
  if (found.length === 0) {
    return { holders: "", hint: "another program is changing users; try again in a moment" };
  }
  const stale = found.filter(({ pid }) => !isAlive(pid ?? ""));
  const holders = ` by ${found.map(({ path, pid }) => `${path} (process ${pid || "unknown"})`).join(", ")}`;
  const hint =
    stale.length === 0
      ? "wait for that process to end"
      : `left behind by a program that was killed; remove it: rm ${stale.map(({ path }) => path).join(" ")}`;
  return { holders, hint };
}

/** The process id in it, for people; undefined when there is no such file. */
function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
      .replaceAll(/[^\x21-\x7e]/g, "")
      .slice(0, 20);
  } catch {
    return undefined;
  }
}

function isAlive(pid: string): boolean {
  if (!/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
}

function isReadOnly(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return false;
  } catch {
    return true;
  }
}
