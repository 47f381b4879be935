// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import type { KeeperClient } from "./keeper-client.ts";
import { podEnded } from "./loss.ts";
import type { MachineDraft } from "./machine.ts";
import { connectNetwork, plugNetwork } from "./network.ts";
import { OwnedDescriptors } from "./owned-descriptors.ts";

/** The two lines above the table in /proc/<pid>/net/dev. */
const HEADING_LINES = 2;

/**
 * Gives the guest what its client has put into the pod's new network namespace meanwhile; nothing where
 * that is empty. To be called once.
 * @throws POD_ENDED, those of connectNetwork, and the keeper's
 */
export async function joinLate(
  draft: MachineDraft,
  holderPid: number,
  keeper: KeeperClient,
): Promise<void> {
  if (!hasInterfaces(holderPid)) return;
  const taps = new OwnedDescriptors();
  try {
    const path = `/proc/${holderPid}/ns/net`;
    const network = await connectNetwork(draft, { path, isForwarding: false }, taps);
    if (network === undefined || network.facts.interfaces.length === 0) return;
    await plugNetwork(draft.key, network, keeper);
  } finally {
    taps.closeAll();
  }
}

/** Beside its loopback; without starting a program to find out. */
function hasInterfaces(pid: number): boolean {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/net/dev`, "utf8");
  } catch (cause) {
    if (["ENOENT", "ESRCH", "EINVAL"].includes((cause as NodeJS.ErrnoException).code ?? "")) {
      throw podEnded("its network holder has ended");
    }
    throw cause;
  }
  const lines = text.trimEnd().split("\n");
  return lines.slice(HEADING_LINES).some((line) => !line.trimStart().startsWith("lo:"));
}
