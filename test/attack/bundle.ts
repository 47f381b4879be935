// SPDX-License-Identifier: Apache-2.0
import { createRequire } from "node:module";
import { join } from "node:path";
import { build } from "esbuild";
import type { Role, Targets } from "./types.ts";

/** koffi's native half, which the attacker brings along: it makes bare system calls. */
export function koffiLibrary(): string {
  return join(import.meta.dirname, "..", "..", "dist", "koffi.node");
}

/** The attacker for a role as one script, which knows what to go for. */
export async function attackerScript(role: Role, targets: Targets): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, `as-${role}.ts`)],
    bundle: true,
    minify: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    external: ["*.node"],
    define: {
      "import.meta.url": "__bundleUrl",
      // As text in base64: what a script names by its path is shown to it.
      TARGETS: "__targets",
    },
    banner: {
      js: `const __bundleUrl = require("node:url").pathToFileURL(__filename).href;
const __targets = Buffer.from("${Buffer.from(JSON.stringify(targets)).toString("base64url")}", "base64url").toString();`,
    },
  });
  // A hint among the errors that it brings along names a directory of mukon's, which would be shown to it.
  const script = (outputFiles[0]?.text ?? "").replaceAll("/var/lib/mukon", "mukon's directory");
  // Only to make sure that it can be found at all.
  createRequire(import.meta.url).resolve(koffiLibrary());
  return script;
}
