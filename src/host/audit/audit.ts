// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { type ProcessStatus, readNamespaces } from "../../linux/process-status.ts";
import { deviceLimitsOf } from "../cgroups/device-limits.ts";
import { kindOfRoot, readRoot } from "../jail/inspect-root.ts";
import { readSandboxState, type SandboxState } from "../sandbox-state.ts";
import { findProcesses } from "./find-processes.ts";
import { resolveNames } from "./names.ts";
import {
  brokenSeparation,
  findNeighbours,
  hostNamespaces,
  type Neighbour,
} from "./promise-apart.ts";
import { brokenHost } from "./promise-host.ts";
import { brokenRights } from "./promise-rights.ts";
import type { AuditedProcess, AuditReport, FoundProcess, Verdict } from "./types.ts";

interface Pod {
  key: string;
  state: SandboxState;
  neighbours: readonly Neighbour[];
}

/**
 * What every host process of a pod may do, as the kernel has it now, and whether the promises are
 * kept.
 * @throws SANDBOX_NOT_FOUND, SANDBOX_STATE_INVALID
 */
export async function auditSandbox(key: string): Promise<AuditReport> {
  const state = readSandboxState(key);
  if (state === undefined) {
    throw new MukonError("SANDBOX_NOT_FOUND", `there is no sandbox ${key}`, {
      hint: "list what runs: mukon ps",
    });
  }
  const { processes: found, ended } = findProcesses(state);
  const pod = { key, state, neighbours: findNeighbours(key) };
  const users = await resolveNames("passwd", found.map(uidOf));
  const groups = await resolveNames("group", found.map(gidOf));
  const processes = found.map((item): AuditedProcess => {
    const facts = factsOf(item);
    const userName = users.get(facts.uid) ?? String(facts.uid);
    const groupName = groups.get(facts.gid) ?? String(facts.gid);
    return { ...facts, userName, groupName, verdicts: verdictsOf(item, pod) };
  });
  return {
    key,
    id: state.id,
    namespace: state.namespace,
    hypervisor: state.hypervisor,
    accelerator: state.accelerator,
    rootless: state.rootless,
    createdAt: state.createdAt,
    ended,
    processes,
    isKept: processes.every(({ verdicts }) =>
      Object.values(verdicts).every((verdict) => !verdict.startsWith("broken")),
    ),
  };
}

function verdictsOf(found: FoundProcess, pod: Pod): AuditedProcess["verdicts"] {
  if (isTrusted(found, pod.state)) return { P1: "trusted", P2: "trusted", P3: "trusted" };
  return {
    P1: verdict(brokenRights(found, pod.state)),
    P2: verdict(brokenSeparation(found, pod)),
    P3: verdict(brokenHost(found, pod.state)),
  };
}

/** The shim, and what it runs for a moment as itself; nothing that has an id of the pod. */
function isTrusted({ role, status }: FoundProcess, { identity }: SandboxState): boolean {
  if (role === "shim") return true;
  if (role !== "helper") return false;
  const base = identity?.block.base ?? 0;
  const end = base + (identity?.block.size ?? 0);
  return ![...status.uids, ...status.gids].some((id) => id >= base && id < end);
}

function verdict(reasons: readonly string[]): Verdict {
  return reasons.length === 0 ? "kept" : `broken: ${reasons.join("; ")}`;
}

function factsOf({
  role,
  status,
}: FoundProcess): Omit<AuditedProcess, "userName" | "groupName" | "verdicts"> {
  const host = hostNamespaces();
  const { inheritable, permitted, effective, bounding, ambient } = status.capabilities;
  const hex = (mask: bigint): string => mask.toString(16).padStart(16, "0");
  return {
    role,
    pid: status.pid,
    program: status.name,
    uid: uidOf({ status }),
    gid: gidOf({ status }),
    groups: status.groups,
    capabilities: {
      inheritable: hex(inheritable),
      permitted: hex(permitted),
      effective: hex(effective),
      bounding: hex(bounding),
      ambient: hex(ambient),
    },
    noNewPrivileges: status.noNewPrivileges,
    seccomp: status.seccomp,
    namespaces: Object.fromEntries(
      Object.entries(readNamespaces(status.pid)).map(([name, value]) => [
        name,
        value === host[name as keyof typeof host] ? "host" : "own",
      ]),
    ),
    root: kindOfRoot(readRoot(status.pid)),
    devices: deviceLimitsOf(status.pid),
  };
}

/** The effective ones decide what a process may do. */
function uidOf({ status }: { status: ProcessStatus }): number {
  return status.uids[1] ?? 0;
}

function gidOf({ status }: { status: ProcessStatus }): number {
  return status.gids[1] ?? 0;
}
