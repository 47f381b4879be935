// SPDX-License-Identifier: Apache-2.0
import { dirname, join } from "node:path";
import type { PodIdentity } from "../host/identity/types.ts";
import { programJail } from "../host/jail/program-jail.ts";
import type { ConfinedLaunch } from "../host/launcher/types.ts";
import { programsDirectory, publishProgram } from "../host/programs.ts";

/** Debian's Node reads parts of itself from there, when it starts. */
export const NODE_PARTS = "/usr/share/nodejs";

/** The keeper's ends of its sockets, in the order of its descriptors from 3 on. */
export interface KeeperSockets {
  control: number;
  descriptors: number;
  qmp: number;
  agent: number;
  console: number;
}

/**
 * How to start the keeper: as its own user, which nobody else has, in a jail, with nothing but its
 * sockets.
 * @throws PROGRAM_NOT_FOUND, PROGRAM_UNREACHABLE
 */
export async function keeperLaunch(
  identity: PodIdentity,
  sockets: KeeperSockets,
): Promise<ConfinedLaunch> {
  const node = await publishProgram(process.execPath);
  const program = await publishProgram(join(programsDirectory(), "keeper.cjs"));
  const { control, descriptors, qmp, agent, console } = sockets;
  return {
    role: "keeper",
    argv: [node, program],
    uid: identity.keeper.uid,
    gid: identity.keeper.gid,
    groups: [],
    jail: await programJail(node, [...[program, join(dirname(program), "koffi.node"), NODE_PARTS]]),
    stdio: ["ignore", "ignore", "pipe", control, descriptors, qmp, agent, console],
  };
}
