// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { receiveDescriptors } from "../../linux/descriptors.ts";
import { MAX_DESCRIPTORS_PER_REQUEST } from "../../sandbox/messages/limits.ts";
import { closeAll } from "../process/process-stdio.ts";

/** Takes the `count` descriptors of request `id`, which the shim has sent ahead of it. */
export type DescriptorTaker = (id: number, count: number) => number[];

const PAYLOAD_BYTES = 4;

/**
 * Takes descriptors from a socket. Errors: `KEEPER_DESCRIPTORS` when they are not there, or are
 * those of another request: shim and keeper are out of step then, for good.
 */
export function descriptorInbox(socketFd: number): DescriptorTaker {
  return (id, count) => {
    if (count === 0) return [];
    const message = receiveDescriptors(socketFd, {
      maxPayloadBytes: PAYLOAD_BYTES,
      maxDescriptors: MAX_DESCRIPTORS_PER_REQUEST,
    });
    const isOurs =
      message?.payload.length === PAYLOAD_BYTES && message.payload.readUInt32BE() === id;
    if (message !== undefined && isOurs && message.fds.length === count) return message.fds;
    closeAll(message?.fds ?? []);
    throw new MukonError(
      "KEEPER_DESCRIPTORS",
      `The ${count} descriptors of request ${id} did not come with it.`,
    );
  };
}
