// SPDX-License-Identifier: Apache-2.0

/**
 * Words that each save boot time or memory, measured under emulation: no self-tests of ciphers, no
 * patching against attacks inside the guest (the VM is the wall), one serial port to look for, no
 * audit, no bounce buffers for devices beyond 4 GiB. What the kernel notes down of each page of memory
 * that is plugged in lies in that memory: otherwise there is a limit to it. The
 * timer is not tried out: on a busy host its ticks come late, and the kernel would give up.
 */
const BASE = [
  "console=ttyS0",
  "panic=1",
  "cryptomgr.notests",
  "mitigations=off",
  "8250.nr_uarts=1",
  "audit=0",
  "swiotlb=noforce",
  "no_timer_check",
  "memory_hotplug.memmap_on_memory=1",
];

export interface KernelCommandLineOptions {
  /**
   * How many processors the kernel starts by itself, of a machine that has a table of all that it can
   * have (`processor-table.ts`). Of the two tables that are there then it reads the second, which is ours.
   */
  vcpus?: number;
  /** What the guest image is to the machine; default: virtio-pmem. */
  imageDriver?: "virtio-pmem" | "virtio-blk";
  /** The user's own words; last, since the last of a kind wins. */
  kernelParams?: string;
  /** Kernel and agent speak up on the console. */
  isDebug?: boolean;
}

/** The guest kernel's command line. */
export function kernelCommandLine(options: KernelCommandLineOptions = {}): string {
  const talk = options.isDebug === true ? ["debug", "agent.log=debug"] : ["quiet"];
  const processors =
    options.vcpus === undefined ? [] : ["acpi_apic_instance=2", `maxcpus=${options.vcpus}`];
  // For the guest's init: the first disk of such a machine is somebody else's otherwise.
  const image = options.imageDriver === "virtio-blk" ? ["mukon_image=disk"] : [];
  return [...BASE, ...processors, ...image, ...talk, (options.kernelParams ?? "").trim()]
    .join(" ")
    .trim();
}
