// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { run } from "../../../src/linux/run.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PROGRAM = `
  import { socketPair } from "./src/linux/descriptors.ts";
  console.log(socketPair().every((fd) => fd > 2));
`;

/** As scripts/build.mjs does it. */
async function bundle(outfile: string): Promise<void> {
  await build({
    stdin: { contents: PROGRAM, resolveDir: ROOT, loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    logLevel: "warning",
    external: ["*.node"],
    define: { "import.meta.url": "__mukonBundleUrl" },
    banner: {
      js: "const __mukonBundleUrl = require('node:url').pathToFileURL(__filename).href;",
    },
  });
}

test("a bundle makes system calls with the library beside it, and says so when it is missing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mukon-bundle-"));
  const library = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
  const program = join(directory, "program.cjs");
  try {
    await bundle(program);
    const alone = await run([process.execPath, program], { cwd: "/", allowFailure: true });
    assert.match(alone.stderr, /FFI_UNAVAILABLE/);
    const native = createRequire(import.meta.url).resolve(library);
    copyFileSync(native, join(directory, "koffi.node"));
    const { stdout } = await run([process.execPath, program], { cwd: "/" });
    assert.equal(stdout, "true\n");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
