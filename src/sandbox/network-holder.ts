// SPDX-License-Identifier: Apache-2.0
import { networkHolderIds, type PodIdentity } from "../host/identity/types.ts";
import { programJail } from "../host/jail/program-jail.ts";
import { findTool } from "../host/launcher/tools.ts";
import type { ConfinedLaunch } from "../host/launcher/types.ts";

/**
 * How to start the process that a new network namespace of a pod is known by: clients such as Docker look
 * for it at `/proc/<pid>/ns/net`, and put interfaces there. It does nothing at all, as a user of its own:
 * so neither VMM nor keeper, which are in namespaces without a network, could get at it.
 */
export async function networkHolderLaunch(identity: PodIdentity): Promise<ConfinedLaunch> {
  const program = findTool("sleep");
  return {
    role: "network",
    argv: [program, "infinity"],
    ...networkHolderIds(identity),
    groups: [],
    jail: await programJail(program, []),
    stdio: ["ignore", "ignore", "pipe"],
  };
}
