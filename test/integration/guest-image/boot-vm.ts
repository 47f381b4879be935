// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import type { GuestAssets } from "../../../guest/image/open.ts";

const MACHINE = [
  ..."-nodefaults -no-user-config -display none -no-reboot -m 512M,slots=2,maxmem=2G".split(" "),
  ..."-M q35,sata=off,usb=off,smbus=off -accel tcg,tb-size=64 -cpu max -serial stdio".split(" "),
];
const COMMAND_LINE =
  "console=ttyS0 quiet panic=-1 cryptomgr.notests mitigations=off swiotlb=noforce";
const BOOT_TIMEOUT_MS = 90_000;

/** Ways to hand the guest's image over; `none` leaves it out. */
export type ImageDevice = "pmem" | "disk" | "none";

export interface BootOptions {
  image: ImageDevice;
  /** Words added to the kernel's command line. */
  commandLine?: string;
  /** Paths of raw images attached as further read-only disks. */
  disks?: readonly string[];
}

/** Boots a guest with plain QEMU under emulation; resolves with its console when it powers off. */
export async function bootVm(guest: GuestAssets, options: BootOptions): Promise<string> {
  const devices = await imageDevice(guest, options.image);
  for (const path of options.disks ?? []) devices.push(...diskDevice(path, "extra"));
  const append = `${COMMAND_LINE} ${options.commandLine ?? ""}`;
  const kernel = ["-kernel", guest.kernelPath, "-initrd", guest.initrdPath, "-append", append];
  const child = spawn("qemu-system-x86_64", [...MACHINE, ...kernel, ...devices], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    output += data;
  });
  let isTimedOut = false;
  const timer = setTimeout(() => {
    isTimedOut = true;
    child.kill("SIGKILL");
  }, BOOT_TIMEOUT_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  clearTimeout(timer);
  if (isTimedOut || code !== 0) {
    const why = isTimedOut ? "did not power off" : `ended with ${code}`;
    throw new Error(`the VM ${why}; its console:\n${output.slice(-4000)}`);
  }
  return output;
}

async function imageDevice(guest: GuestAssets, kind: ImageDevice): Promise<string[]> {
  if (kind === "none") return [];
  if (kind === "disk") return diskDevice(guest.imagePath, "image");
  const { size } = await stat(guest.imagePath);
  const memory = `memory-backend-file,id=pmem,mem-path=${guest.imagePath},size=${size}`;
  return ["-object", `${memory},share=on,readonly=on`, "-device", "virtio-pmem-pci,memdev=pmem"];
}

function diskDevice(path: string, id: string): string[] {
  const drive = `id=${id},if=none,format=raw,readonly=on,file=${path}`;
  return ["-drive", drive, "-device", `virtio-blk-pci,drive=${id}`];
}
