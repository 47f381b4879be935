// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";

/** QEMU's first line. */
export const Greeting = v.object({
  QMP: v.object({
    version: v.object({
      qemu: v.object({ major: v.number(), minor: v.number(), micro: v.number() }),
    }),
  }),
});

/** A reply, an error, or an event; members that we do not use are dropped. */
export const QmpLine = v.union([
  v.object({ event: v.pipe(v.string(), v.maxLength(64)), data: v.optional(v.unknown()) }),
  v.object({ return: v.unknown(), id: v.number() }),
  v.object({
    error: v.object({ class: v.string(), desc: v.string() }),
    id: v.optional(v.number()),
  }),
]);
export type QmpLine = v.InferOutput<typeof QmpLine>;

/** Something that happened in the VM, as in QEMU's QMP reference. */
export interface QmpEvent {
  name: string;
  data: Record<string, unknown>;
}

export interface QemuVersion {
  major: number;
  minor: number;
  micro: number;
}
