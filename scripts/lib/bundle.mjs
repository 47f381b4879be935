// SPDX-License-Identifier: Apache-2.0
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const programs = {
  mukon: "src/cli/main.ts",
  shim: "src/shim/start.ts",
  "shim-daemon": "src/shim/daemon.ts",
  keeper: "src/keeper/main.ts",
  "passt-filter": "src/passt/main.ts",
  agent: "guest/agent/main.ts",
  "node-install": "src/node-install/main.ts",
};

/**
 * Writes every program, each as one file, and the native half of koffi beside them.
 * @param {string} outputDirectory
 * @param {import("esbuild").Plugin[]} plugins
 */
export async function bundle(outputDirectory, plugins = []) {
  mkdirSync(outputDirectory, { recursive: true });
  const entryPoints = Object.fromEntries(
    Object.entries(programs)
      .map(([name, source]) => [name, join(root, source)])
      .filter(([, source]) => existsSync(source)),
  );
  const { outputFiles } = await build({
    entryPoints,
    outdir: outputDirectory,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node20",
    legalComments: "none",
    logLevel: "warning",
    // The programs run from these files alone; the native half of koffi lies beside them.
    external: ["*.node"],
    define: { "import.meta.url": "__mukonBundleUrl" },
    banner: {
      js: "const __mukonBundleUrl = require('node:url').pathToFileURL(__filename).href;",
    },
    plugins,
  });
  for (const { path, contents } of outputFiles) {
    replaceFile(join(outputDirectory, basename(path)), contents);
  }
  replaceFile(join(outputDirectory, "koffi.node"), readFileSync(nativeKoffi()));
}

/**
 * Under a new name first: a program that runs keeps the file that it has. A library that changes
 * under a process which has mapped it crashes that process.
 */
function replaceFile(target, contents) {
  const temporary = `${target}.${process.pid}.new`;
  const isCommand = ["mukon.cjs", "shim.cjs"].includes(basename(target));
  writeFileSync(temporary, contents);
  // Whatever the umask of whoever builds: programs are run by users that are nobody.
  chmodSync(temporary, isCommand ? 0o755 : 0o644);
  renameSync(temporary, target);
}

/** The prebuilt library of this platform, out of koffi's optional package. */
function nativeKoffi() {
  const require = createRequire(join(root, "package.json"));
  const name = `@koromix/koffi-${process.platform}-${process.arch}`;
  const directory = dirname(require.resolve(`${name}/package.json`));
  return join(directory, `${process.platform}_${process.arch}`, "koffi.node");
}
