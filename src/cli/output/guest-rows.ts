// SPDX-License-Identifier: Apache-2.0
import type { GuestManifest } from "../../../guest/image/manifest.ts";
import { formatBytes } from "./table.ts";

/** What a guest is made of, a line each: part, version or size, and the hash that tells it apart. */
export function guestRows(manifest: GuestManifest): string[][] {
  const { inputs, files } = manifest;
  return [
    ["guest", inputs.release, manifest.contentHash],
    ["kernel", manifest.kernelRelease, ""],
    ["node", inputs.node.version, inputs.node.sha256],
    ["agent", "", inputs.agent.sha256],
    ...files.map(({ name, sizeBytes, sha256 }) => [name, formatBytes(sizeBytes), sha256]),
    ...inputs.packages.map(({ name, version, sha256 }) => [name, version, sha256]),
  ];
}
