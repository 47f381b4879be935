// SPDX-License-Identifier: Apache-2.0
import { readSandboxState } from "../../host/sandbox-state.ts";

/** Addresses of a container that runs, without their prefixes. */
export function addressesOf(id: string): string[] {
  const network = readSandboxState(id)?.network ?? [];
  return network.flatMap(({ addresses }) => addresses.map((one) => one.split("/")[0] ?? ""));
}
