// SPDX-License-Identifier: Apache-2.0
import { closeSync } from "node:fs";
import { asMukonError, MukonError } from "../../errors/mukon-error.ts";
import { openUserNamespace } from "../../linux/user-namespace.ts";

/**
 * Host ids that stand for 0 to 65535 while an image is unpacked. No pod and no user has them:
 * pods end below, user ids of systemd's containers too.
 */
export const IMAGE_ID_BASE = 0x7ffe0000;
export const IMAGE_ID_COUNT = 65_536;

/**
 * Runs `work` with a descriptor of a new user namespace where id 0 is `IMAGE_ID_BASE`. The
 * namespace lives as long as the descriptor, or a process in it.
 * @throws IMAGE_CONFINEMENT_UNAVAILABLE
 */
export async function withImageUserNamespace<Result>(
  work: (descriptor: number) => Promise<Result>,
): Promise<Result> {
  const descriptor = await openNamespace();
  try {
    return await work(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

async function openNamespace(): Promise<number> {
  try {
    return await openUserNamespace([[0, IMAGE_ID_BASE, IMAGE_ID_COUNT]]);
  } catch (cause) {
    const { message, hint } = asMukonError(cause);
    throw new MukonError(
      "IMAGE_CONFINEMENT_UNAVAILABLE",
      `images cannot be unpacked without rights: ${message}`,
      { cause, ...(hint === undefined ? {} : { hint }) },
    );
  }
}
