// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { writeFileAtomic } from "../../linux/atomic-file.ts";
import { bundlePaths } from "./paths.ts";

const RecordSchema = v.object({
  id: v.string(),
  name: v.string(),
  /** The image reference as the user gave it, or the directory of `--rootfs`. */
  image: v.string(),
  digest: v.optional(v.string()),
  command: v.array(v.string()),
  /** ISO 8601. */
  createdAt: v.string(),
  terminal: v.boolean(),
  detached: v.boolean(),
  removeAtExit: v.boolean(),
  stopSignal: v.optional(v.string()),
  /** The `mukon run` that made it. While it lives, nobody else cleans up after it. */
  client: v.object({
    pid: v.number(),
    /** Clock ticks since boot. */
    startTime: v.number(),
  }),
});

/** What the command line remembers of a container. */
export type ContainerRecord = v.InferOutput<typeof RecordSchema>;

const ExitSchema = v.object({
  /** 0 to 255; 128 + N when a signal ended it. */
  status: v.number(),
  /** ISO 8601. */
  at: v.string(),
});

/** How a container ended. */
export type ContainerExit = v.InferOutput<typeof ExitSchema>;

export function writeRecord(record: ContainerRecord): void {
  writeFileAtomic(bundlePaths(record.id).record, `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

/** @throws BUNDLE_DAMAGED when there is no readable record. */
export function readRecord(id: string): ContainerRecord {
  const file = bundlePaths(id).record;
  try {
    return v.parse(RecordSchema, JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new MukonError("BUNDLE_DAMAGED", `cannot read ${file}`, {
      hint: `remove what is left of the container: mukon rm --force ${id}`,
      cause,
    });
  }
}

export function writeExit(id: string, exit: ContainerExit): void {
  writeFileAtomic(bundlePaths(id).exit, `${JSON.stringify(exit)}\n`, { mode: 0o600 });
}

/** Undefined while the container has not ended, or nobody has taken note of it yet. */
export function readExit(id: string): ContainerExit | undefined {
  try {
    return v.parse(ExitSchema, JSON.parse(readFileSync(bundlePaths(id).exit, "utf8")));
  } catch {
    return undefined;
  }
}
