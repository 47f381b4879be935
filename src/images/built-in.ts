// SPDX-License-Identifier: Apache-2.0
import { readFileSync, statSync } from "node:fs";
import { openGuest } from "../../guest/image/open.ts";
import { MukonError } from "../errors/mukon-error.ts";
import { parseAccounts } from "./accounts.ts";
import { emptyConfiguration, parseImageConfig } from "./configuration.ts";
import { BUILT_IN_IMAGE } from "./reference.ts";
import type { ResolvedImage, StoredImage } from "./types.ts";

/** As the guest's build writes them into the image. */
const ACCOUNTS = parseAccounts(
  "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:\nnobody:x:65534:65534::/home:",
  "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:",
);

/** The image that comes with the guest. @throws GUEST_NOT_BUILT, GUEST_HASH_MISMATCH */
export async function resolveBuiltIn(): Promise<ResolvedImage> {
  const guest = await openGuest();
  const json = readFileSync(guest.busyboxConfigPath, "utf8");
  return {
    reference: BUILT_IN_IMAGE,
    digest: digestOf(guest.manifest.files),
    layers: [guest.busyboxPath],
    config: builtInConfig(json),
    accounts: ACCOUNTS,
  };
}

/** Undefined when there is no guest, or a damaged one: that is for those to say who need it. */
export async function builtInImage(): Promise<StoredImage | undefined> {
  try {
    const guest = await openGuest();
    const stat = statSync(guest.busyboxPath);
    const digest = digestOf(guest.manifest.files);
    return {
      reference: BUILT_IN_IMAGE,
      digest,
      imageId: digest,
      createdAt: stat.mtime.toISOString(),
      sizeBytes: stat.size,
      isBuiltIn: true,
    };
  } catch (error) {
    if (error instanceof MukonError && error.code.startsWith("GUEST_")) return undefined;
    throw error;
  }
}

/** Its file has no list of layers: there was never one. */
function builtInConfig(json: string): ResolvedImage["config"] {
  const document: unknown = JSON.parse(json);
  if (typeof document !== "object" || document === null) return emptyConfiguration();
  const whole = { rootfs: { type: "layers", diff_ids: [] }, ...document };
  return parseImageConfig(JSON.stringify(whole), BUILT_IN_IMAGE).config;
}

function digestOf(files: readonly { name: string; sha256: string }[]): string {
  return `sha256:${files.find((file) => file.name === "busybox.erofs")?.sha256 ?? ""}`;
}
