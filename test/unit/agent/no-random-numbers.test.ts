// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";

const AGENT = join(import.meta.dirname, "..", "..", "..", "guest", "agent", "main.ts");

/**
 * In a clone, the agent's generators (OpenSSL's, and V8's behind Math.random) are in the state that
 * they were saved in: all clones would draw the same numbers. So it draws none.
 */
test("the agent has no way to random numbers of its own process", async () => {
  const { metafile, outputFiles } = await build({
    ...{ entryPoints: [AGENT], bundle: true, write: false, metafile: true, outdir: "out" },
    ...{ platform: "node", format: "cjs", target: "node20", external: ["*.node"] },
    define: { "import.meta.url": '"file:///agent"' },
  });
  const imported = Object.values(metafile.outputs)
    .flatMap(({ imports }) => imports)
    .map(({ path }) => path.replace(/^node:/, ""));
  assert.ok(imported.includes("fs"), imported.join(", "));
  for (const source of ["crypto", "tls", "https", "http", "dns", "dgram", "worker_threads"]) {
    assert.ok(!imported.includes(source), `the agent imports ${source}`);
  }
  const code = outputFiles.map(({ text }) => text).join("\n");
  // Temporary names and v4 UUIDs are random too; `crypto` is global since Node 20.
  const words = /Math\.random|\bcrypto\b|randomUUID|randomBytes|getRandomValues|mkdtemp/g;
  assert.deepEqual(code.match(words) ?? [], []);
});
