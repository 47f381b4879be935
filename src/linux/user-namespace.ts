// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readlinkSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../errors/mukon-error.ts";

const START_TIMEOUT_MS = 5_000;
const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** Ids of a user namespace, in the order of /proc/<pid>/uid_map: inside, outside, how many. */
export type IdMap = readonly (readonly [inside: number, outside: number, count: number])[];

/** As the kernel takes it and, but for blanks, gives it back. */
export function formatIdMap(map: IdMap): string {
  return map.map((extent) => extent.join(" ")).join("\n");
}

/**
 * Makes a user namespace with this map for user and group ids alike, and returns a descriptor of
 * it, which the caller closes. It lives as long as the descriptor, a process or a mount in it does.
 * @throws USER_NAMESPACE_FAILED
 */
export async function openUserNamespace(map: IdMap): Promise<number> {
  const holder = spawn(
    "unshare",
    ["--user", "--", "setpriv", "--pdeathsig", "KILL", "--", "sleep", "60"],
    { stdio: "ignore", env: { PATH } },
  );
  const ended = new Promise<never>((_, fail) => {
    holder.once("error", (error) => fail(failed(error.message)));
    holder.once("exit", (code, signal) => fail(failed(`unshare ended with ${code ?? signal}`)));
  });
  ended.catch(() => {});
  try {
    await Promise.race([entered(holder.pid), ended]);
    const text = `${formatIdMap(map)}\n`;
    writeFileSync(`/proc/${holder.pid}/uid_map`, text);
    writeFileSync(`/proc/${holder.pid}/gid_map`, text);
    return openSync(`/proc/${holder.pid}/ns/user`, "r");
  } catch (error) {
    throw error instanceof MukonError ? error : failed(String(error));
  } finally {
    // Once it is open, nobody need be in it.
    await end(holder);
  }
}

async function entered(pid: number | undefined): Promise<void> {
  const own = readlinkSync("/proc/self/ns/user");
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (pid !== undefined && namespaceOf(pid) !== own) return;
    await sleep(1);
  }
  throw failed("unshare did not enter a user namespace");
}

/** Undefined for a process that is gone: the map cannot be written then, which says so. */
function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return undefined;
  }
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.pid === undefined || holder.exitCode !== null || holder.signalCode !== null) return;
  if (holder.kill("SIGKILL")) await once(holder, "exit");
}

function failed(why: string): MukonError {
  return new MukonError("USER_NAMESPACE_FAILED", `cannot make a user namespace: ${why}`, {
    hint: "check that user.max_user_namespaces is not 0 (sysctl), and run as root",
  });
}
