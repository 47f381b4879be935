// SPDX-License-Identifier: Apache-2.0
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CpioEntry, writeCpio } from "../../guest/image/cpio.ts";
import { loadOrder, readModules } from "../../guest/image/modules.ts";
import { INITRAMFS_SCRIPT } from "./system-files.ts";

const MODULES = ["virtio_blk"];

/** Writes the initramfs that finds the root disk: busybox, one module, one script. */
export async function writeHostInitrd(options: {
  path: string;
  busyboxPath: string;
  modulesPath: string;
  workPath: string;
}): Promise<void> {
  const modules = await readModules(options.modulesPath, MODULES, join(options.workPath, "ird"));
  const entries: CpioEntry[] = ["bin", "dev", "modules", "new"].map((path) => ({
    kind: "directory",
    path,
    mode: 0o755,
  }));
  const busybox = await readFile(options.busyboxPath);
  entries.push({ kind: "file", path: "bin/busybox", mode: 0o755, data: busybox });
  entries.push({ kind: "file", path: "init", mode: 0o755, data: Buffer.from(INITRAMFS_SCRIPT) });
  loadOrder(modules, MODULES).forEach((name, index) => {
    // Numbered, since the script loads them in the order of their names.
    const path = `modules/${String(index).padStart(2, "0")}-${name}.ko`;
    entries.push({
      kind: "file",
      path,
      mode: 0o644,
      data: modules.get(name)?.data ?? Buffer.alloc(0),
    });
  });
  await writeFile(options.path, writeCpio(entries));
}
