// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from "node:fs/promises";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import {
  DISK_MODULES,
  initramfsScript,
  MODULE_DIRECTORY,
  MOUNT_TABLE,
  MOUNT_TABLE_PATH,
  PMEM_MODULES,
} from "./init-scripts.ts";
import { loadOrder, type ModuleSet } from "./modules.ts";

const DIRECTORIES = ["bin", "dev", "modules", "newroot", "proc"];

/**
 * Writes the initramfs: busybox, the modules on the way to the image, and the script that mounts
 * it. It is not compressed: copying 4 MB costs the VMM less than unpacking costs the guest.
 */
export async function writeInitrd(
  path: string,
  busyboxPath: string,
  modules: ModuleSet,
): Promise<void> {
  const pmem = loadOrder(modules, PMEM_MODULES);
  const disk = loadOrder(modules, DISK_MODULES);
  const files: CpioEntry[] = [
    executable("bin/busybox", await readFile(busyboxPath)),
    executable("init", Buffer.from(initramfsScript({ pmem, disk }))),
    plain(MOUNT_TABLE_PATH, Buffer.from(MOUNT_TABLE)),
    ...[...new Set([...pmem, ...disk])].map((name) =>
      plain(`${MODULE_DIRECTORY}/${name}.ko`, modules.get(name)?.data ?? Buffer.alloc(0)),
    ),
  ];
  const directories = DIRECTORIES.map(
    (name): CpioEntry => ({ kind: "directory", path: name, mode: 0o755 }),
  );
  await writeFile(path, writeCpio([...directories, ...files]));
}

function executable(path: string, data: Buffer): CpioEntry {
  return { kind: "file", path, mode: 0o755, data };
}

function plain(path: string, data: Buffer): CpioEntry {
  return { kind: "file", path: path.replace(/^\//, ""), mode: 0o644, data };
}
