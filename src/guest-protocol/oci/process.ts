// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { int64, list, text, texts, uint32, uint64 } from "./values.ts";

const capabilities = v.optional(texts);

/** `process` of config.json, which is also what an exec is given. */
export const ociProcess = v.object({
  terminal: v.optional(v.boolean()),
  consoleSize: v.optional(v.object({ height: uint32, width: uint32 })),
  user: v.optional(
    v.object({
      uid: v.optional(uint32),
      gid: v.optional(uint32),
      umask: v.optional(uint32),
      additionalGids: v.optional(list(uint32)),
      username: v.optional(text),
    }),
  ),
  args: v.pipe(texts, v.nonEmpty("must name a program")),
  env: v.optional(texts),
  cwd: v.pipe(text, v.startsWith("/", "must be an absolute path")),
  capabilities: v.optional(
    v.object({
      bounding: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      permitted: capabilities,
      ambient: capabilities,
    }),
  ),
  rlimits: v.optional(list(v.object({ type: text, hard: uint64, soft: uint64 }))),
  noNewPrivileges: v.optional(v.boolean()),
  apparmorProfile: v.optional(text),
  oomScoreAdj: v.optional(int64),
  selinuxLabel: v.optional(text),
});

export type OciProcess = v.InferOutput<typeof ociProcess>;
