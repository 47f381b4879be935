// SPDX-License-Identifier: Apache-2.0
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildGuest } from "../../../guest/image/build.ts";
import type { GuestManifest } from "../../../guest/image/manifest.ts";
import { guestDirectory } from "../../linux/paths.ts";

export interface BuildHereOptions {
  force: boolean;
  log: (line: string) => void;
}

/** Builds the guest image with the agent that lies beside this program. */
export async function buildGuestHere(options: BuildHereOptions): Promise<GuestManifest> {
  const programs = dirname(realpathSync(process.argv[1] ?? "."));
  return buildGuest({
    outputRoot: guestDirectory(),
    agentBundle: join(programs, "agent.cjs"),
    isForced: options.force,
    log: options.log,
  });
}
