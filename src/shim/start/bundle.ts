// SPDX-License-Identifier: Apache-2.0
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PodType, podTypeOf } from "../../config/annotations/pod-type.ts";
import { MukonError } from "../../errors/mukon-error.ts";

/**
 * What the bundle in a directory is, by the annotations of its config.json.
 * @throws BUNDLE_INVALID, POD_TYPE_UNKNOWN, POD_SANDBOX_ID_MISSING
 */
export function podTypeOfBundle(directory: string): PodType {
  const path = join(directory, "config.json");
  try {
    const spec: unknown = JSON.parse(readFileSync(path, "utf8"));
    return podTypeOf(annotationsOf(spec));
  } catch (cause) {
    if (cause instanceof MukonError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MukonError("BUNDLE_INVALID", `${path} cannot be read: ${why}`, { cause });
  }
}

/** containerd finds the shim again by this file, after it was restarted. */
export function writeAddress(directory: string, address: string): void {
  const path = join(directory, "address");
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, address, { mode: 0o600 });
  renameSync(temporary, path);
}

function annotationsOf(spec: unknown): Record<string, string> {
  if (typeof spec !== "object" || spec === null || !("annotations" in spec)) return {};
  const { annotations } = spec;
  if (typeof annotations !== "object" || annotations === null) return {};
  return Object.fromEntries(
    Object.entries(annotations).filter((entry): entry is [string, string] => {
      return typeof entry[1] === "string";
    }),
  );
}
