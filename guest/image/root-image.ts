// SPDX-License-Identifier: Apache-2.0
import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CONTAINER_MODULES, initScript, OPTIONAL_MODULES } from "./init-scripts.ts";
import { findLibraries, LIBRARY_DIRECTORY, LOADER_NAME } from "./libraries.ts";
import type { ModuleSet } from "./modules.ts";
import type { NodeProgram } from "./node-program.ts";
import { TreeWriter } from "./tree.ts";

export interface RootImageInput {
  /** The unpacked packages: libc, libstdc++, crun, busybox … */
  packagesPath: string;
  node: NodeProgram;
  agentBundle: string;
  kernelRelease: string;
  modules: ModuleSet;
}

const EMPTY_DIRECTORIES = ["dev", "proc", "sys", "run", "var", "root", "mnt"];
/** Everything is under /usr, as Debian has it. */
const MERGED = { bin: "usr/bin", sbin: "usr/sbin", lib: "usr/lib", lib64: "usr/lib64" };
const APPLETS = ["bin/sh", "sbin/modprobe", "sbin/ip", "sbin/poweroff", "bin/mount", "bin/umount"];
const ETC = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
  group: "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
  hosts: "127.0.0.1 localhost\n::1 localhost\n",
  hostname: "mukon\n",
};

/** Modules that the image holds as files. */
export const IMAGE_MODULES = [...CONTAINER_MODULES, ...OPTIONAL_MODULES];

/** Lays out the guest's read-only root: Node and the agent, crun, busybox, modules, libraries. */
export async function writeRootTree(rootPath: string, input: RootImageInput): Promise<void> {
  const tree = new TreeWriter(rootPath);
  await tree.directory(".");
  for (const name of EMPTY_DIRECTORIES) await tree.directory(name);
  await tree.directory("tmp", 0o1777);
  for (const [name, target] of Object.entries(MERGED)) {
    await tree.directory(target);
    await tree.link(name, target);
  }
  for (const [name, content] of Object.entries(ETC)) await tree.file(`etc/${name}`, content);
  await tree.link("etc/resolv.conf", "../run/resolv.conf");
  await tree.link("etc/mtab", "../proc/self/mounts");
  await writePrograms(tree, input);
  await writeModules(tree, input);
}

async function writePrograms(tree: TreeWriter, input: RootImageInput): Promise<void> {
  const { packagesPath, node, agentBundle } = input;
  const crunPath = join(packagesPath, "usr/bin/crun");
  await tree.copy("usr/bin/busybox", join(packagesPath, "usr/bin/busybox"), 0o755);
  for (const path of APPLETS) await tree.link(`usr/${path}`, "/usr/bin/busybox");
  await tree.file("usr/sbin/init", initScript(), 0o755);
  await tree.copy("usr/bin/node", node.path, 0o755);
  for (const path of node.scriptPaths) await tree.copy(path, path);
  await tree.copy("usr/bin/crun", crunPath, 0o755);
  await tree.copy("usr/lib/mukon/agent.cjs", agentBundle);
  const ffiPath = join(dirname(agentBundle), "koffi.node");
  const hasFfi = await access(ffiPath).then(
    () => true,
    () => false,
  );
  if (hasFfi) await tree.copy("usr/lib/mukon/koffi.node", ffiPath);
  const libraries = new Map([
    ...(await findLibraries({ programPath: node.path, packagesPath, isHostProgram: true })),
    ...(await findLibraries({ programPath: crunPath, packagesPath, isHostProgram: false })),
  ]);
  libraries.delete(LOADER_NAME);
  for (const [name, path] of libraries)
    await tree.copy(`${LIBRARY_DIRECTORY}/${name}`, path, 0o755);
  const loaderPath = `${LIBRARY_DIRECTORY}/${LOADER_NAME}`;
  await tree.copy(loaderPath, join(packagesPath, loaderPath), 0o755);
  await tree.link(`usr/lib64/${LOADER_NAME}`, `/${loaderPath}`);
}

/** The modules and the two tables by which `modprobe` finds them. */
async function writeModules(tree: TreeWriter, input: RootImageInput): Promise<void> {
  const directory = `usr/lib/modules/${input.kernelRelease}`;
  const modules = [...input.modules.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, data } of modules) await tree.file(`${directory}/${name}.ko`, data);
  const dependencies = modules.map(({ name }) => {
    const all = dependenciesOf(input.modules, name).map((other) => ` ${other}.ko`);
    return `${name}.ko:${all.join("")}\n`;
  });
  const aliases = modules.flatMap((module) =>
    module.aliases.map((alias) => `alias ${alias} ${module.name}\n`),
  );
  await tree.file(`${directory}/modules.dep`, dependencies.join(""));
  await tree.file(`${directory}/modules.alias`, aliases.join(""));
}

/** All that a module needs, nearest first, as modules.dep wants it. */
function dependenciesOf(modules: ModuleSet, name: string): string[] {
  const found: string[] = [];
  const visit = (current: string): void => {
    for (const next of modules.get(current)?.dependencies ?? []) {
      if (modules.has(next) && !found.includes(next)) found.push(next);
      visit(next);
    }
  };
  visit(name);
  return found;
}
