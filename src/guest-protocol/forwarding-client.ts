// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../errors/mukon-error.ts";
import { Forwarding } from "../generated/agent/forwarding_pb.ts";
import type { TtrpcClient } from "../ttrpc/client.ts";

const OPEN_DEADLINE_MS = 30_000;
const CLOSE_DEADLINE_MS = 30_000;
/** What one call carries at most; well below what a frame holds. */
export const MAX_FORWARDED_BYTES = 256 * 1024;

/** A connection to a port in the guest. All methods throw TtrpcError, or AGENT_REPLY_INVALID. */
export interface GuestConnection {
  /** Waits for bytes; none: the other side has ended. */
  read(): Promise<Uint8Array>;
  write(data: Uint8Array): Promise<void>;
  /** Says that no more will be written. */
  end(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects to a port on the guest's loopback. The guest may lie: what it gives is data, of a length
 * that was asked for.
 */
export async function connectToGuest(client: TtrpcClient, port: number): Promise<GuestConnection> {
  const { open, read, write, close } = Forwarding.method;
  const { id } = await client.call(open, { port }, { timeoutMs: OPEN_DEADLINE_MS });
  return {
    read: async () => {
      const { data } = await client.call(read, { id, maxBytes: MAX_FORWARDED_BYTES });
      if (data.length <= MAX_FORWARDED_BYTES) return data;
      throw new MukonError(
        "AGENT_REPLY_INVALID",
        `The guest's agent gave ${data.length} bytes, more than were asked for.`,
      );
    },
    write: async (data) => {
      await client.call(write, { id, data });
    },
    end: async () => {
      await client.call(write, { id, isLast: true });
    },
    close: async () => {
      await client.call(close, { id }, { timeoutMs: CLOSE_DEADLINE_MS });
    },
  };
}
