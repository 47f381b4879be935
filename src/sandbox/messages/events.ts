// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MAX_CONSOLE_TAIL_CHARACTERS, MAX_MESSAGE_CHARACTERS } from "./limits.ts";
import { Identifier, ProcessIdentifier, plainText, range } from "./primitives.ts";

/** A process ended and its output was handed on; `execId` is "" for the container's first. */
export const ExitedEvent = v.strictObject({
  event: v.literal("exited"),
  containerId: Identifier,
  execId: ProcessIdentifier,
  /** 0 to 255; 128+N for signal N. */
  status: range(0, 255),
  /** Milliseconds since 1970, by the host's clock. */
  at: range(0, 8_640_000_000_000),
});
export type ExitedEvent = v.InferOutput<typeof ExitedEvent>;

/** The guest's kernel killed a process of the container for want of memory. */
export const OomEvent = v.strictObject({ event: v.literal("oom"), containerId: Identifier });
export type OomEvent = v.InferOutput<typeof OomEvent>;

/** VMM or agent is gone, or cannot be believed any more: the pod is over. */
export const LostEvent = v.strictObject({
  event: v.literal("lost"),
  reason: plainText(MAX_MESSAGE_CHARACTERS),
  consoleTail: plainText(MAX_CONSOLE_TAIL_CHARACTERS),
});
export type LostEvent = v.InferOutput<typeof LostEvent>;

/** What the keeper says unasked. */
export const KeeperEvent = v.variant("event", [ExitedEvent, OomEvent, LostEvent]);
export type KeeperEvent = v.InferOutput<typeof KeeperEvent>;
