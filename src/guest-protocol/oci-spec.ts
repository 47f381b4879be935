// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../errors/mukon-error.ts";
import { ociHooks } from "./oci/hooks.ts";
import { parseJsonExactly, withoutNulls } from "./oci/json.ts";
import { ociLinux } from "./oci/linux.ts";
import { type OciProcess, ociProcess } from "./oci/process.ts";
import { type OciResources, ociResources } from "./oci/resources.ts";
import { list, text, textMap, texts } from "./oci/values.ts";

export type { OciProcess, OciResources };

const MAX_SPEC_LENGTH = 4 * 1024 * 1024;
const MAX_SHOWN_LENGTH = 100;

const ociMount = v.object({
  destination: v.pipe(text, v.startsWith("/", "must be an absolute path")),
  source: v.optional(text),
  type: v.optional(text),
  options: v.optional(texts),
});

export type OciMount = v.InferOutput<typeof ociMount>;

/** config.json of an OCI bundle, as far as a Linux container in a guest can use it. */
export const ociSpec = v.object({
  ociVersion: v.pipe(text, v.regex(/^1\./, "must be 1.x")),
  process: v.optional(ociProcess),
  root: v.optional(v.object({ path: text, readonly: v.optional(v.boolean()) })),
  hostname: v.optional(text),
  mounts: v.optional(list(ociMount)),
  annotations: v.optional(textMap),
  /** Programs for the host to run; the guest is not told of them. */
  hooks: v.optional(ociHooks),
  linux: v.optional(ociLinux),
});

/**
 * A checked config.json: unknown members are gone, members that were null are absent. It can be
 * sent as JSON without loss: integers too large for JavaScript are decimal text.
 */
export type OciSpec = v.InferOutput<typeof ociSpec>;

/**
 * Reads config.json, given as text or already parsed.
 *
 * @throws MukonError OCI_SPEC_INVALID, naming the member; OCI_SPEC_TOO_LARGE
 */
export function parseOciSpec(json: unknown): OciSpec {
  return parseWith(ociSpec, json, "OCI_SPEC_INVALID");
}

/** Reads the process of an exec. @throws MukonError OCI_PROCESS_INVALID, OCI_SPEC_TOO_LARGE */
export function parseOciProcess(json: unknown): OciProcess {
  return parseWith(ociProcess, json, "OCI_PROCESS_INVALID");
}

/** Reads the resources of an update. @throws MukonError OCI_SPEC_INVALID, OCI_SPEC_TOO_LARGE */
export function parseOciResources(json: unknown): OciResources {
  return parseWith(ociResources, json, "OCI_SPEC_INVALID");
}

type SpecErrorCode = "OCI_SPEC_INVALID" | "OCI_PROCESS_INVALID";

function parseWith<T>(schema: v.GenericSchema<unknown, T>, json: unknown, code: SpecErrorCode): T {
  const value = readValue(json, code);
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const member = printable(v.getDotPath(issue) ?? "");
  const where = member === "" ? "The OCI document" : `The OCI document's ${member}`;
  throw new MukonError(code, `${where} is wrong: ${printable(issue.message)}.`, {
    hint: "Correct what wrote it; the format is that of the OCI runtime specification.",
  });
}

function readValue(json: unknown, code: SpecErrorCode): unknown {
  if (typeof json === "string" && json.length > MAX_SPEC_LENGTH) {
    throw new MukonError(
      "OCI_SPEC_TOO_LARGE",
      `The OCI document has ${json.length} characters, more than ${MAX_SPEC_LENGTH}.`,
    );
  }
  try {
    return withoutNulls(typeof json === "string" ? parseJsonExactly(json) : json);
  } catch (error) {
    throw new MukonError(code, `The OCI document is not JSON: ${printable(String(error))}`, {
      cause: error,
    });
  }
}

function printable(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_SHOWN_LENGTH);
}
