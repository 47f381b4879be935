// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { int64, list, text, textMap, uint32, uint64 } from "./values.ts";

/** `linux.resources` of config.json, which is also what an update is given. */
export const ociResources = v.object({
  memory: v.optional(
    v.object({
      limit: v.optional(int64),
      reservation: v.optional(int64),
      swap: v.optional(int64),
      kernel: v.optional(int64),
      kernelTCP: v.optional(int64),
      swappiness: v.optional(uint64),
      disableOOMKiller: v.optional(v.boolean()),
    }),
  ),
  cpu: v.optional(
    v.object({
      shares: v.optional(uint64),
      quota: v.optional(int64),
      period: v.optional(uint64),
      realtimeRuntime: v.optional(int64),
      realtimePeriod: v.optional(uint64),
      cpus: v.optional(text),
      mems: v.optional(text),
    }),
  ),
  pids: v.optional(v.object({ limit: v.optional(int64) })),
  hugepageLimits: v.optional(list(v.object({ pageSize: text, limit: uint64 }))),
  devices: v.optional(
    list(
      v.object({
        allow: v.boolean(),
        type: v.optional(text),
        major: v.optional(int64),
        minor: v.optional(int64),
        access: v.optional(text),
      }),
    ),
  ),
  unified: v.optional(textMap),
});

export type OciResources = v.InferOutput<typeof ociResources>;

/** A device node to be made in the container. */
export const ociDevice = v.object({
  path: v.pipe(text, v.startsWith("/", "must be an absolute path")),
  type: v.pipe(text, v.regex(/^[cbup]$/)),
  major: v.optional(int64),
  minor: v.optional(int64),
  fileMode: v.optional(uint32),
  uid: v.optional(uint32),
  gid: v.optional(uint32),
});

export type OciDevice = v.InferOutput<typeof ociDevice>;
