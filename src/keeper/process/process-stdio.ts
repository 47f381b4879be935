// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { MukonError } from "../../errors/mukon-error.ts";
import { type Stdio, stdioDescriptorCount } from "../../sandbox/messages/methods.ts";

/** The descriptors of a process's standard streams, by name. */
export interface ProcessDescriptors {
  terminal: boolean;
  stdin?: { descriptor: number; holderDescriptor: number };
  stdout?: number;
  stderr?: number;
}

/**
 * Sorts the descriptors of a request: standard input and its holder, then the outputs.
 * Errors: `KEEPER_REQUEST_INVALID` when there are more or fewer than the streams need.
 */
export function sortDescriptors(stdio: Stdio, descriptors: readonly number[]): ProcessDescriptors {
  if (descriptors.length !== stdioDescriptorCount(stdio)) {
    throw new MukonError(
      "KEEPER_REQUEST_INVALID",
      `${descriptors.length} descriptors came for ${stdioDescriptorCount(stdio)} of the streams.`,
    );
  }
  const rest = [...descriptors];
  const next = (): number => rest.shift() ?? -1;
  const sorted: ProcessDescriptors = { terminal: stdio.terminal };
  if (stdio.stdin) sorted.stdin = { descriptor: next(), holderDescriptor: next() };
  if (stdio.stdout) sorted.stdout = next();
  if (stdio.stderr) sorted.stderr = next();
  return sorted;
}

/** Closes descriptors, whether or not one of them is closed already. */
export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) {
    try {
      closeSync(descriptor);
    } catch {
      // Nothing else can be done about it.
    }
  }
}
