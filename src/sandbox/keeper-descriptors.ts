// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import { MukonError } from "../errors/mukon-error.ts";
import { sendDescriptors } from "../linux/descriptors.ts";
import { SystemCallError } from "../linux/system-call.ts";

const RETRY_MS = 5;
const DEADLINE_MS = 5000;

/** Sends descriptors over a socket, or throws when that cannot be done at once. */
export type DescriptorSender = (socketFd: number, payload: Buffer, fds: number[]) => void;

export interface RequestDescriptors {
  socketFd: number;
  /** Number of the request that the descriptors belong to. */
  id: number;
  descriptors: readonly number[];
}

/** The bytes that go with the descriptors of request `id`. */
export function descriptorPayload(id: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(id);
  return payload;
}

/**
 * Hands the descriptors of one request over, ahead of the request itself; waits up to 5 s for a
 * keeper that is behind. Errors: `KEEPER_DESCRIPTORS`, with the system's reason as its cause.
 */
export async function sendRequestDescriptors(
  request: RequestDescriptors,
  send: DescriptorSender = sendDescriptors,
): Promise<void> {
  const payload = descriptorPayload(request.id);
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    try {
      send(request.socketFd, payload, [...request.descriptors]);
      return;
    } catch (cause) {
      const isFull = cause instanceof SystemCallError && cause.errorName === "EAGAIN";
      if (!isFull || performance.now() > deadline) {
        throw new MukonError(
          "KEEPER_DESCRIPTORS",
          `${request.descriptors.length} descriptors could not be handed to the keeper.`,
          { cause },
        );
      }
    }
    await delay(RETRY_MS);
  }
}
