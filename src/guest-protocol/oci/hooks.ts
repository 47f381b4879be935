// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { list, text, texts } from "./values.ts";

const MAX_TIMEOUT_S = 24 * 60 * 60;

/** A program that whoever wrote the spec wants to have run. */
const ociHook = v.object({
  path: v.pipe(text, v.startsWith("/", "must be an absolute path")),
  /** With the name that it is called by, as execv(3) has it. */
  args: v.optional(texts),
  /** All of its environment, `NAME=value`; none: that of the runtime. */
  env: v.optional(texts),
  /** Seconds; none: it may take as long as it likes. */
  timeout: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_TIMEOUT_S, "is too long")),
  ),
});

const hooks = v.optional(list(ociHook), []);

/** By the moment that they are for; `config.md#posix-platform-hooks` of the OCI runtime specification. */
export const ociHooks = v.object({
  /** The older name of what createRuntime is for. */
  prestart: hooks,
  createRuntime: hooks,
  createContainer: hooks,
  startContainer: hooks,
  poststart: hooks,
  poststop: hooks,
});

export type OciHook = v.InferOutput<typeof ociHook>;
export type OciHooks = v.InferOutput<typeof ociHooks>;
