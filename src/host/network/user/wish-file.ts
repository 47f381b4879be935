// SPDX-License-Identifier: Apache-2.0
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { MukonError } from "../../../errors/mukon-error.ts";
import { type UserNetworkWish, userNetworkWish } from "./published-port.ts";

/**
 * Beside config.json: only who makes bundles can ask for the host's network, and no annotation of a
 * pod's can.
 */
const FILE = "user-network.json";

export function writeUserNetworkWish(bundle: string, wish: UserNetworkWish): void {
  writeFileSync(join(bundle, FILE), JSON.stringify(wish), { mode: 0o600 });
}

/** Undefined: no network in user mode is asked for. @throws BUNDLE_INVALID */
export function readUserNetworkWish(bundle: string): UserNetworkWish | undefined {
  const path = join(bundle, FILE);
  try {
    return v.parse(userNetworkWish, JSON.parse(readFileSync(path, "utf8")));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MukonError("BUNDLE_INVALID", `${path} makes no sense: ${cause}`, { cause });
  }
}
