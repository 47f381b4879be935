// SPDX-License-Identifier: Apache-2.0
import { asMukonError } from "../../errors/mukon-error.ts";
import { run } from "../../linux/run.ts";
import { findPasst } from "../network/user/passt.ts";
import { tryWall } from "../network/user/wall.ts";
import type { CheckResult } from "./types.ts";

const NAME = "user-network";
const TIMEOUT_MS = 10_000;

export interface UserNetworkProbes {
  /** @throws PASST_MISSING */
  find: () => string;
  /** @throws NETWORK_WALL_UNAVAILABLE */
  tryWall: () => Promise<void>;
}

/** Whether pods can have a network in user mode: passt, and the wall that it is put behind. */
export async function checkUserNetwork(
  { find, tryWall: build }: UserNetworkProbes = { find: findPasst, tryWall },
): Promise<CheckResult> {
  try {
    const passt = find();
    await build();
    return {
      ...{ name: NAME, status: "ok" },
      message: `passt ${await versionOf(passt)}; it can be walled off from this host`,
    };
  } catch (error) {
    const { message, hint } = asMukonError(error);
    return {
      ...{ name: NAME, status: "warning", message },
      remedy: hint ?? "use --network bridge",
    };
  }
}

/** Debian's own programs do not know their version, its packages do. */
async function versionOf(passt: string): Promise<string> {
  const options = { allowFailure: true, timeoutMs: TIMEOUT_MS };
  const { stdout } = await run([passt, "--version"], options);
  const own = /^passt (\d\S*)/.exec(stdout)?.[1];
  if (own !== undefined) return own;
  const known = await run(["dpkg-query", "--status", "passt"], options).catch(() => undefined);
  return /^Version: (\S+)$/m.exec(known?.stdout ?? "")?.[1] ?? "of a version that it does not tell";
}
