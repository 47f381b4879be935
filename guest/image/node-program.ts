// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { run } from "../../src/linux/run.ts";
import { hashOfData, sha256OfFile } from "./hashes.ts";
import { parseLibraries } from "./libraries.ts";

/** A Node that is to run in the guest. */
export interface NodeProgram {
  path: string;
  version: string;
  /** Over the binary and every file of the host that it needs. */
  sha256: string;
  /** Scripts that it reads at start: Debian's Node has some of its built-in modules outside. */
  scriptPaths: string[];
}

const HOST_LOADER = "/lib64/ld-linux-x86-64.so.2";
const QUESTION = "JSON.stringify([process.version, process.config.target_defaults?.defines ?? []])";
const AnswerSchema = v.tuple([v.string(), v.array(v.string())]);

/** Asks a Node for its version, and finds the files that it cannot start without. */
export async function describeNode(path: string): Promise<NodeProgram> {
  const { stdout } = await run([path, "--print", QUESTION]);
  const [version, defines] = v.parse(AnswerSchema, JSON.parse(stdout));
  const scriptPaths = findScripts(defines);
  const loaded = await run([HOST_LOADER, "--list", path], { allowFailure: true });
  const libraries = [...parseLibraries(loaded.stdout).values()];
  const hashes: string[] = [];
  for (const file of [path, ...libraries, ...scriptPaths]) hashes.push(await sha256OfFile(file));
  return { path, version, sha256: hashOfData(hashes), scriptPaths };
}

/** Reads the paths out of definitions like NODE_SHARED_BUILTIN_ACORN_PATH=/usr/share/…/acorn.js. */
export function findScripts(defines: readonly string[]): string[] {
  const pattern = /^NODE_SHARED_BUILTIN_\w+_PATH=(\/usr\/(?:(?!\.\.?\/)[\w@.-]+\/)+[\w.-]+\.m?js)$/;
  return defines.flatMap((define) => pattern.exec(define)?.[1] ?? []);
}
