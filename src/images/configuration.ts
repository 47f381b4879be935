// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../errors/mukon-error.ts";
import type { ImageConfiguration } from "./types.ts";

/** An image config as far as it matters here; OCI image spec, "Image Configuration". */
export interface ParsedConfig {
  config: ImageConfiguration;
  /** One uncompressed layer each, bottom first. */
  diffIds: string[];
  /** Seconds since 1970; 0 when unknown or in the future. */
  createdAtSeconds: number;
}

const MAX_ARGUMENTS = 10_000;
const MAX_TEXT_LENGTH = 131_072; // MAX_ARG_STRLEN of Linux: the longest argument or variable

const noNul = v.check((text: string) => !text.includes("\0"), "holds a NUL byte");
const Text = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH), noNul);
const Texts = v.optional(v.nullable(v.pipe(v.array(Text), v.maxLength(MAX_ARGUMENTS))));
/** A JSON object that Go writes for a set: only its keys count. */
const Keys = v.optional(v.nullable(v.record(v.pipe(Text, v.maxLength(4096)), v.unknown())));
const Digest = v.pipe(v.string(), v.regex(/^sha256:[0-9a-f]{64}$/));

const ConfigSchema = v.object({
  created: v.optional(v.nullable(v.string())),
  os: v.optional(v.string()),
  config: v.optional(
    v.nullable(
      v.object({
        Entrypoint: Texts,
        Cmd: Texts,
        Env: Texts,
        User: v.optional(v.nullable(v.pipe(Text, v.maxLength(512)))),
        WorkingDir: v.optional(v.nullable(v.pipe(Text, v.maxLength(4095)))),
        StopSignal: v.optional(v.nullable(v.pipe(v.string(), v.regex(/^[A-Za-z0-9+-]{0,20}$/)))),
        ExposedPorts: Keys,
        Volumes: Keys,
        Labels: v.optional(v.nullable(v.record(v.string(), Text))),
      }),
    ),
  ),
  rootfs: v.object({ type: v.literal("layers"), diff_ids: v.array(Digest) }),
});

/** @throws IMAGE_INVALID */
export function parseImageConfig(json: string, reference: string): ParsedConfig {
  const parsed = v.safeParse(ConfigSchema, parseJson(json, reference));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const where = v.getDotPath(issue) ?? "its top";
    throw invalid(reference, `its config is malformed at ${where}: ${issue.message}`);
  }
  const { config, created, rootfs, os } = parsed.output;
  if (os !== undefined && os !== "" && os !== "linux") {
    throw invalid(reference, `it is made for ${os.slice(0, 40)}, not for Linux`);
  }
  const workingDir = config?.WorkingDir || "/";
  const stopSignal = config?.StopSignal || undefined;
  return {
    config: {
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      env: config?.Env ?? [],
      user: config?.User ?? "",
      workingDir: workingDir.startsWith("/") ? workingDir : `/${workingDir}`,
      ...(stopSignal === undefined ? {} : { stopSignal }),
      exposedPorts: Object.keys(config?.ExposedPorts ?? {}),
      volumes: Object.keys(config?.Volumes ?? {}),
      labels: config?.Labels ?? {},
    },
    diffIds: rootfs.diff_ids,
    createdAtSeconds: seconds(created),
  };
}

/** What a directory or an image without a config gets. */
export function emptyConfiguration(): ImageConfiguration {
  return {
    entrypoint: [],
    cmd: [],
    env: [],
    user: "",
    workingDir: "/",
    exposedPorts: [],
    volumes: [],
    labels: {},
  };
}

function seconds(created: string | null | undefined): number {
  const time = Math.floor(Date.parse(created ?? "") / 1000);
  return Number.isFinite(time) && time > 0 && time * 1000 <= Date.now() ? time : 0;
}

/** Not quoting the text: it may be any file that a link in a layout points to. */
function parseJson(json: string, reference: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw invalid(reference, "its config is no JSON");
  }
}

function invalid(reference: string, why: string): MukonError {
  return new MukonError("IMAGE_INVALID", `${reference} cannot be used: ${why}`, {
    hint: "build or push the image again, or ask its maker",
  });
}
