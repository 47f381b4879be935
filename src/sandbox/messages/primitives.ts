// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { isPlainText } from "./text.ts";

/** A container, exec or sandbox id as containerd allows them, with room to spare. */
export const Identifier = v.pipe(
  v.string(),
  v.maxLength(128),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]*$/),
);

/** An exec id, or "" for the container's first process. */
export const ProcessIdentifier = v.union([v.literal(""), Identifier]);

/** A disk of the pod: becomes part of a QEMU id, which must be short and plain. */
export const DiskIdentifier = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,27}$/));

/**
 * Where the guest finds a disk or a card: slots on the way from the root bus, as in "0a/00", or a
 * target and unit on the SCSI bus, as in "0:1".
 */
export const DiskSource = v.pipe(
  v.string(),
  v.maxLength(32),
  v.regex(/^([0-9a-f]{2}(\/[0-9a-f]{2}){0,3}|\d{1,3}:\d{1,3})$/),
);

/** The address of a PCI device of the host's: `0000:01:00.0`. */
export const PciAddress = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/),
);

/** A whole number from 0 that JavaScript keeps exactly. */
export const Count = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0),
  v.maxValue(Number.MAX_SAFE_INTEGER),
);

/** A whole number from `lowest` to `highest`. */
export function range(lowest: number, highest: number) {
  return v.pipe(v.number(), v.integer(), v.minValue(lowest), v.maxValue(highest));
}

/** Milliseconds to wait: up to one hour. */
export const TimeoutMs = range(1, 3_600_000);

/** A path below a volume's root, which is "" itself; a part may begin with "..", but not be it. */
export const VolumePath = v.pipe(
  v.string(),
  v.maxLength(4096),
  v.check(
    (path) => path === "" || path.split("/").every((part) => !["", ".", ".."].includes(part)),
    "must be a plain relative path",
  ),
  v.check((path) => !path.includes("\0"), "must not contain NUL"),
);

/** Text that is safe to show on a terminal. */
export function plainText(maxCharacters: number) {
  return v.pipe(v.string(), v.maxLength(maxCharacters), v.check(isPlainText, "terminal controls"));
}

/** A JSON object whose inside another parser checks (an OCI spec, process or resources). */
export const JsonObject = v.record(v.string(), v.unknown());
