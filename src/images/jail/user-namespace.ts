// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readlinkSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MukonError } from "../../errors/mukon-error.ts";

/**
 * Host ids that stand for 0 to 65535 while an image is unpacked. No pod and no user has them:
 * pods end below, user ids of systemd's containers too.
 */
export const IMAGE_ID_BASE = 0x7ffe0000;
export const IMAGE_ID_COUNT = 65_536;

const START_TIMEOUT_MS = 5_000;

/**
 * Runs `work` with a descriptor of a new user namespace where id 0 is `IMAGE_ID_BASE`. The
 * namespace lives as long as the descriptor, or a process in it.
 * @throws IMAGE_CONFINEMENT_UNAVAILABLE
 */
export async function withImageUserNamespace<Result>(
  work: (descriptor: number) => Promise<Result>,
): Promise<Result> {
  const descriptor = await openNamespace();
  try {
    return await work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A namespace is made by a process that enters it; that process can go once it is open. */
async function openNamespace(): Promise<number> {
  const holder = spawn("unshare", ["--user", "--", "sleep", "60"], {
    stdio: "ignore",
    env: { PATH: process.env.PATH },
  });
  const ended = new Promise<string>((done) => {
    holder.once("error", (error) => done(error.message));
    holder.once("exit", (code, signal) => done(`unshare ended with ${code ?? signal}`));
  });
  try {
    await Promise.race([entered(holder.pid), ended.then(failure)]);
    const map = `0 ${IMAGE_ID_BASE} ${IMAGE_ID_COUNT}`;
    writeFileSync(`/proc/${holder.pid}/uid_map`, map);
    writeFileSync(`/proc/${holder.pid}/gid_map`, map);
    return openSync(`/proc/${holder.pid}/ns/user`, "r");
  } catch (error) {
    throw error instanceof MukonError ? error : failure(String(error));
  } finally {
    if (holder.exitCode === null && holder.kill("SIGKILL")) await once(holder, "exit");
  }
}

async function entered(pid: number | undefined): Promise<void> {
  const own = readlinkSync("/proc/self/ns/user");
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (pid !== undefined && namespaceOf(pid) !== own) return;
    await sleep(1);
  }
  failure("unshare did not enter a user namespace");
}

/** Its own namespace for a process that is gone: the map cannot be written then, which says so. */
function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch {
    return undefined;
  }
}

function failure(why: string): never {
  throw new MukonError(
    "IMAGE_CONFINEMENT_UNAVAILABLE",
    `cannot make the user namespace that images are unpacked in: ${why}`,
    { hint: "check that user.max_user_namespaces is not 0 (sysctl), and run as root" },
  );
}
