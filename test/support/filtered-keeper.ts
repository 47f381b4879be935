// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A program that confines itself as the keeper does, and then is another. */
export function filteredKeeper(source: string): string {
  const { outputFiles } = buildSync({
    stdin: {
      contents: `import { confineKeeper } from "./src/keeper/confinement/confine.ts";
        confineKeeper();
        ${source}`,
      resolveDir: ROOT,
      loader: "ts",
    },
    ...{ bundle: true, write: false, platform: "node", format: "cjs", target: "node20" },
    external: ["*.node"],
    define: { "import.meta.url": "bundleUrl" },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  });
  return outputFiles[0]?.text ?? "";
}
