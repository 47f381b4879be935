// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import type { Plugin } from "esbuild";
import { bundle } from "../../scripts/lib/bundle.mjs";

const source = join(import.meta.dirname, "..", "..", "src");

/** Where the walls are built, and what stands there instead. */
const REPLACED: Readonly<Record<string, string>> = {
  [join(source, "sandbox/launch-verified.ts")]: "launch-verified.ts",
  [join(source, "host/shared-fs/verify.ts")]: "shared-fs-verify.ts",
  [join(source, "host/shared-fs/map-ids.ts")]: "map-ids.ts",
  [join(source, "keeper/confinement/confine.ts")]: "confine.ts",
};

const withoutWalls: Plugin = {
  name: "without-walls",
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
      const replacement = REPLACED[join(resolveDir, path)];
      return replacement === undefined
        ? undefined
        : { path: join(import.meta.dirname, replacement) };
    });
  },
};

/**
 * Bundles mukon as it would be without what it is for: VMM, keeper and virtiofsd run as root, with all
 * that the shim may do and see. It is what confinement is measured against, and is never installed.
 */
export async function buildUnconfined(directory: string): Promise<void> {
  await bundle(directory, [withoutWalls]);
}
