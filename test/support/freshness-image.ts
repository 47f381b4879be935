// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../src/linux/run.ts";
import { writeLayout } from "./oci-layout.ts";
import type { TarEntry } from "./tar.ts";

/** Writes an OCI layout of an image with this Node, its OpenSSL, and the probe that it runs. */
export async function writeProbeImage(directory: string): Promise<void> {
  const { stdout } = await run(["ldd", process.execPath]);
  const libraries = [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
  const files = new Map([
    ["/probe/node", process.execPath],
    ["/probe/probe.cjs", join(import.meta.dirname, "freshness-probe.cjs")],
    ["/probe/koffi.node", join(import.meta.dirname, "..", "..", "dist", "koffi.node")],
    ...libraries.map((path): [string, string] => [path, path]),
  ]);
  const layer: TarEntry[] = [...files].map(([path, source]) => ({
    path: path.slice(1),
    data: readFileSync(source),
    mode: 0o755,
  }));
  writeLayout(directory, {
    layers: [layer],
    config: { Cmd: ["/probe/node", "--jitless", "/probe/probe.cjs"] },
  });
}
