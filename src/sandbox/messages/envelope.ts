// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { KeeperEvent } from "./events.ts";
import {
  MAX_CONSOLE_TAIL_CHARACTERS,
  MAX_DESCRIPTORS_PER_REQUEST,
  MAX_MESSAGE_CHARACTERS,
} from "./limits.ts";
import { plainText, range } from "./primitives.ts";

/** Number of a request; also the payload (4 bytes, big endian) of the descriptors it brings. */
export const RequestNumber = range(1, 0xffff_ffff);

/** One line from shim to keeper. */
export const Request = v.strictObject({
  id: RequestNumber,
  method: v.pipe(v.string(), v.maxLength(40)),
  params: v.unknown(),
  /** Descriptors sent ahead on the second socket. */
  descriptors: v.optional(range(0, MAX_DESCRIPTORS_PER_REQUEST), 0),
});
export type Request = v.InferOutput<typeof Request>;

/** A failure as it crosses the process boundary. */
export const WireError = v.strictObject({
  code: v.pipe(v.string(), v.regex(/^[A-Z][A-Z0-9_]{0,63}$/)),
  message: plainText(MAX_MESSAGE_CHARACTERS),
  hint: v.optional(plainText(MAX_MESSAGE_CHARACTERS)),
  details: v.optional(
    v.strictObject({
      /** Step of the boot that failed. */
      stage: v.optional(plainText(40)),
      consoleTail: v.optional(plainText(MAX_CONSOLE_TAIL_CHARACTERS)),
      /** The status (google.rpc.Code) that the guest's agent answered with. */
      agentStatus: v.optional(range(0, 255)),
    }),
  ),
});
export type WireError = v.InferOutput<typeof WireError>;

const Success = v.strictObject({ id: RequestNumber, result: v.unknown() });
const Failure = v.strictObject({ id: RequestNumber, error: WireError });

/** One line from keeper to shim. */
export const KeeperLine = v.union([KeeperEvent, Failure, Success]);
export type KeeperLine = v.InferOutput<typeof KeeperLine>;
