// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { ociDevice, ociResources } from "./resources.ts";
import { list, text, textMap, texts, uint32, uint64 } from "./values.ts";

const idMappings = list(v.object({ containerID: uint32, hostID: uint32, size: uint32 }));

const seccompRule = v.object({
  names: texts,
  action: text,
  errnoRet: v.optional(uint32),
  args: v.optional(
    list(v.object({ index: uint32, value: uint64, valueTwo: v.optional(uint64), op: text })),
  ),
});

export const ociSeccomp = v.object({
  defaultAction: text,
  architectures: v.optional(texts),
  flags: v.optional(texts),
  syscalls: v.optional(list(seccompRule)),
});

export type OciSeccomp = v.InferOutput<typeof ociSeccomp>;

/** `linux` of config.json. */
export const ociLinux = v.object({
  uidMappings: v.optional(idMappings),
  gidMappings: v.optional(idMappings),
  sysctl: v.optional(textMap),
  resources: v.optional(ociResources),
  cgroupsPath: v.optional(text),
  namespaces: v.optional(
    list(
      v.object({
        type: v.pipe(text, v.regex(/^(pid|network|mount|ipc|uts|user|cgroup|time)$/)),
        path: v.optional(text),
      }),
    ),
  ),
  devices: v.optional(list(ociDevice)),
  seccomp: v.optional(ociSeccomp),
  rootfsPropagation: v.optional(text),
  maskedPaths: v.optional(texts),
  readonlyPaths: v.optional(texts),
  mountLabel: v.optional(text),
});

export type OciLinux = v.InferOutput<typeof ociLinux>;
