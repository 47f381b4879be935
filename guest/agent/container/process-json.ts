// SPDX-License-Identifier: Apache-2.0
import { AgentError, Status } from "../errors.ts";
import type { Infer } from "../protobuf/field.ts";
import type { StringUser } from "../schema/agent.ts";
import type { Process } from "../schema/oci.ts";
import { type Json, unlessEmpty, unlessZero } from "./json.ts";

export type ProcessSpec = Infer<typeof Process>;

/**
 * crun's form of a process. AppArmor and SELinux names mean host policies, which no guest has, so
 * they are left out as Kata's guests do.
 */
export function processJson(process: ProcessSpec): Json {
  if (process.args.length === 0) {
    throw new AgentError(Status.invalidArgument, "the process has no arguments: nothing to run");
  }
  return {
    terminal: process.terminal,
    consoleSize: consoleSize(process),
    user: {
      uid: process.user?.uid ?? 0,
      gid: process.user?.gid ?? 0,
      additionalGids: unlessEmpty(process.user?.additionalGids ?? []),
    },
    args: process.args,
    env: process.env,
    cwd: process.cwd === "" ? "/" : process.cwd,
    capabilities: process.capabilities === undefined ? undefined : { ...process.capabilities },
    rlimits: unlessEmpty(process.rlimits.map((limit) => ({ ...limit }))),
    noNewPrivileges: process.noNewPrivileges,
    // Always said, since a process would else inherit whatever the agent has.
    oomScoreAdj: process.oomScoreAdj,
  };
}

function consoleSize(process: ProcessSpec): Json {
  const size = process.consoleSize;
  if (size === undefined || size.height === 0 || size.width === 0) return undefined;
  return { height: size.height, width: size.width };
}

/** Kata's Go runtime leaves out what an exec shares with its container: taken from the container. */
export function completeExec(exec: ProcessSpec, container: ProcessSpec): ProcessSpec {
  return {
    ...exec,
    capabilities: exec.capabilities ?? container.capabilities,
    rlimits: exec.rlimits.length > 0 ? exec.rlimits : container.rlimits,
    noNewPrivileges: exec.noNewPrivileges || container.noNewPrivileges,
    oomScoreAdj: unlessZero(exec.oomScoreAdj) ?? container.oomScoreAdj,
  };
}

/** Ids that come as text override those of the process; names would need the image's accounts. */
export function withStringUser(
  process: ProcessSpec,
  user: Infer<typeof StringUser> | undefined,
): ProcessSpec {
  if (user === undefined || (user.uid === "" && user.gid === "")) return process;
  return {
    ...process,
    user: {
      uid: numericId(user.uid, process.user?.uid ?? 0),
      gid: numericId(user.gid, process.user?.gid ?? 0),
      additionalGids: user.additionalGids.map((gid) => numericId(gid, 0)),
      username: "",
    },
  };
}

function numericId(text: string, fallback: number): number {
  if (text === "") return fallback;
  const id = Number(text);
  if (/^\d{1,10}$/.test(text) && id < 2 ** 32) return id;
  throw new AgentError(Status.invalidArgument, `user or group "${text}" is no number`);
}
