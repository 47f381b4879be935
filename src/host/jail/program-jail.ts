// SPDX-License-Identifier: Apache-2.0
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { dropTool } from "../launcher/tools.ts";
import { libraryDirectories, programFiles } from "./program-files.ts";
import type { Jail } from "./types.ts";

/** Where QEMU finds its firmware, below the directory that it is installed in. */
const FIRMWARE = [
  "share/qemu",
  "share/qemu-kvm",
  "share/kata-qemu",
  "share/seabios",
  "lib/ipxe/qemu",
];
const QEMU = /\/(bin|libexec)\/[^/]*qemu[^/]*$/;
const DEVICES = ["/dev/null", "/dev/urandom"];

/** What QEMU needs: its libraries and modules, firmware, and `/dev/kvm` when it uses that. */
export async function qemuJail(program: string, kvmNode: string | undefined): Promise<Jail> {
  const files = await programFiles(program);
  const directories = [
    ...prefixesOf(files).flatMap((prefix) => FIRMWARE.map((path) => join(prefix, path))),
    // Modules lie beside the libraries.
    ...libraryDirectories(files).map((directory) => join(directory, "qemu")),
  ];
  return {
    paths: [...(await toolFiles()), ...files, ...directories.filter((path) => existsSync(path))],
    devices: kvmNode === undefined ? DEVICES : [...DEVICES, kvmNode],
  };
}

/** Where QEMU is installed, whether it was named itself or by a script. */
function prefixesOf(files: readonly string[]): string[] {
  const programs = files.filter((file) => QEMU.test(file)).map((file) => realpathSync(file));
  return [...new Set(programs.map((file) => dirname(dirname(file))))];
}

/** What a program needs; `companions`: files that it loads itself. */
export async function programJail(program: string, companions: readonly string[]): Promise<Jail> {
  const loaded = companions.filter((path) => existsSync(path));
  return {
    paths: [...(await toolFiles()), ...(await programFiles(program)), ...loaded],
    devices: DEVICES,
  };
}

/** What the last tool of a launch needs; where itself is shown, only root can reach it. */
async function toolFiles(): Promise<string[]> {
  const tool = dropTool();
  return (await programFiles(tool)).filter((path) => path !== tool);
}
