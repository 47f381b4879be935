// SPDX-License-Identifier: Apache-2.0
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { run } from "../../src/linux/run.ts";

/** A kernel module, unpacked. */
export interface KernelModule {
  /** As the kernel writes it: with underscores. */
  name: string;
  data: Buffer;
  dependencies: string[];
  aliases: string[];
}

/** Modules by name; only those asked for and what they depend on. */
export type ModuleSet = Map<string, KernelModule>;

/**
 * Unpacks the modules `wanted`, and those they depend on, out of an unpacked kernel package.
 * @param treePath directory that holds `kernel/…/*.ko[.xz|.zst]`
 * @param workPath an existing directory for temporary files
 * @throws MukonError GUEST_MODULE_MISSING
 */
export async function readModules(
  treePath: string,
  wanted: readonly string[],
  workPath: string,
): Promise<ModuleSet> {
  const paths = await findModules(treePath);
  const builtIn = await readBuiltIn(treePath);
  const modules: ModuleSet = new Map();
  const queue = [...wanted];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (modules.has(name) || builtIn.has(name)) continue;
    const path = paths.get(name);
    if (path === undefined) throw missing(name, treePath);
    const module = parseModule(name, withoutSignature(await unpackModule(path, workPath)));
    modules.set(name, module);
    queue.push(...module.dependencies);
  }
  return modules;
}

/** The names of `wanted` and all they depend on, each after its dependencies. */
export function loadOrder(modules: ModuleSet, wanted: readonly string[]): string[] {
  const order: string[] = [];
  const visit = (name: string): void => {
    const module = modules.get(name);
    if (module === undefined || order.includes(name)) return;
    for (const dependency of module.dependencies) visit(dependency);
    if (!order.includes(name)) order.push(name);
  };
  for (const name of wanted) visit(name);
  return order;
}

const SIGNATURE_MARK = Buffer.from("~Module signature appended~\n");
/** Ends with the signature's length (struct module_signature in the kernel's tree). */
const SIGNATURE_INFO_BYTES = 12;

/**
 * Cuts off the signature at the end of a module. The host has checked the hash of all that the
 * guest starts from, so checking each module again only costs the guest time (0.15 s in all under
 * emulation); the kernel takes unsigned modules and notes that it did.
 */
export function withoutSignature(data: Buffer): Buffer {
  const infoEnd = data.length - SIGNATURE_MARK.length;
  const infoStart = infoEnd - SIGNATURE_INFO_BYTES;
  if (infoStart < 0 || !data.subarray(infoEnd).equals(SIGNATURE_MARK)) return data;
  const signatureBytes = data.readUInt32BE(infoEnd - 4);
  return signatureBytes > infoStart ? data : data.subarray(0, infoStart - signatureBytes);
}

/** Reads names out of the module's `.modinfo` section: NUL-terminated `key=value` strings. */
export function parseModule(name: string, data: Buffer): KernelModule {
  const text = data.toString("latin1");
  const values = (key: string): string[] =>
    [...text.matchAll(new RegExp(`\\0${key}=([\\x20-\\x7e]*)(?=\\0)`, "g"))].map((m) => m[1] ?? "");
  const dependencies = values("depends")
    .flatMap((list) => list.split(","))
    .filter((entry) => entry !== "")
    .map(withUnderscores);
  return { name, data, dependencies: [...new Set(dependencies)], aliases: values("alias") };
}

async function findModules(treePath: string): Promise<Map<string, string>> {
  const paths = new Map<string, string>();
  const entries = await readdir(join(treePath, "kernel"), { recursive: true });
  for (const entry of entries) {
    const match = /^(.+)\.ko(\.xz|\.zst)?$/.exec(basename(entry));
    if (match?.[1] !== undefined) {
      paths.set(withUnderscores(match[1]), join(treePath, "kernel", entry));
    }
  }
  return paths;
}

/** Names that are no files because the kernel itself holds them. */
async function readBuiltIn(treePath: string): Promise<Set<string>> {
  const text = await readFile(join(treePath, "modules.builtin"), "utf8");
  return new Set(text.split("\n").map((line) => withUnderscores(basename(line, ".ko"))));
}

async function unpackModule(path: string, workPath: string): Promise<Buffer> {
  const tool = path.endsWith(".xz") ? "xz" : path.endsWith(".zst") ? "zstd" : undefined;
  if (tool === undefined) return readFile(path);
  await mkdir(workPath, { recursive: true });
  const copy = join(workPath, basename(path));
  await copyFile(path, copy);
  await run([tool, "--decompress", "--quiet", "--force", copy]);
  return readFile(copy.replace(/\.(xz|zst)$/, ""));
}

function withUnderscores(name: string): string {
  return name.replaceAll("-", "_");
}

function missing(name: string, treePath: string): MukonError {
  return new MukonError("GUEST_MODULE_MISSING", `No kernel module ${name} in ${treePath}.`, {
    hint: "Report the version of the kernel package; its modules were rearranged.",
  });
}
