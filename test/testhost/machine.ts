// SPDX-License-Identifier: Apache-2.0

/** Larger than the checkout with its packages, and than a guest with its packages. */
export const SHARED_DISK_BYTES = 2 ** 30;
export const SPARE_DISK_BYTES = 16 * 2 ** 20;
const MEMORY_MIB = 3584;
const PROCESSORS = 2;

const KERNEL_COMMAND_LINE = [
  ...["console=ttyS0", "rw", "quiet", "mitigations=off", "nokaslr", "audit=0", "nowatchdog"],
  ...["cryptomgr.notests=1", "net.ifnames=0", "random.trust_cpu=on", "apparmor=0"],
  ...["systemd.show_status=0", "intel_iommu=on", "iommu=pt"],
].join(" ");

export interface MachinePaths {
  kernel: string;
  initrd: string;
  /** The root disk. */
  disk: string;
  /** Whether what the machine writes goes to its root disk, or is forgotten with the machine. */
  isDiskWritten: boolean;
  /** The checkout and the guest, each an EROFS image. */
  checkout: string;
  guest: string;
  /** A disk of a device that is to be given to a VM. */
  spare: string;
  console: string;
  qmpSocket: string;
}

/**
 * QEMU's arguments for a host with a processor that has virtual machines of its own (AMD's SVM,
 * emulated), an IOMMU, and a disk and a network card to spare behind ports of their own. What
 * changes here makes older snapshots useless, which is why they are named by it. No device may be
 * one that QEMU cannot save, as NVMe is.
 */
export function machineArguments(paths: MachinePaths): string[] {
  return [
    ...["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max", "-M", "q35,usb=off"],
    ...["-smp", String(PROCESSORS), "-m", `${MEMORY_MIB}M`, "-nodefaults", "-display", "none"],
    ...["-no-user-config", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"],
    ...["-kernel", paths.kernel, "-initrd", paths.initrd, "-append", KERNEL_COMMAND_LINE],
    // Before all devices that it looks after.
    ...["-device", "intel-iommu,intremap=on,aw-bits=48"],
    ...disk({ name: "root", path: paths.disk, isWritten: paths.isDiskWritten }),
    ...disk({ name: "checkout", path: paths.checkout, isWritten: false }),
    ...disk({ name: "guest", path: paths.guest, isWritten: false }),
    ...["-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"],
    ...["-device", "virtio-net-pci,netdev=net,romfile="],
    ...spareDevices(paths.spare),
    ...["-chardev", `file,id=console,path=${paths.console}`, "-serial", "chardev:console"],
    ...["-qmp", `unix:${paths.qmpSocket},server=on,wait=off`],
  ];
}

function disk(options: { name: string; path: string; isWritten: boolean }): string[] {
  const { name, path, isWritten } = options;
  const drive = `file=${path},format=raw,if=none,id=${name},cache=unsafe`;
  return [
    ...["-drive", `${drive},snapshot=${isWritten ? "off" : "on"}`],
    ...["-device", `virtio-blk-pci,drive=${name},serial=${name}`],
  ];
}

/** Each in an IOMMU group of its own. */
function spareDevices(diskPath: string): string[] {
  const behindIommu = "disable-legacy=on,iommu_platform=on,ats=on";
  return [
    ...[
      "-device",
      "pcie-root-port,id=port1,chassis=1",
      "-device",
      "pcie-root-port,id=port2,chassis=2",
    ],
    ...["-drive", `file=${diskPath},format=raw,if=none,id=spare,cache=unsafe,snapshot=on`],
    ...["-device", `virtio-blk-pci,bus=port1,drive=spare,serial=spare,${behindIommu}`],
    ...["-netdev", "user,id=sparenet,restrict=on,net=10.9.0.0/24"],
    ...["-device", `virtio-net-pci,bus=port2,netdev=sparenet,romfile=,${behindIommu}`],
  ];
}

/** The port on loopback in QEMU's answer to `info usernet`. */
export function forwardedPort(text: string): number | undefined {
  const port = /^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s/m.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}
