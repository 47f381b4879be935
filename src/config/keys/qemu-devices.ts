// SPDX-License-Identifier: Apache-2.0
import { choice, flag, globList, integer, path, textList } from "../kinds.ts";
import { accepted, active } from "./define.ts";

/** [hypervisor.qemu]: disks, shared folders, and other devices. */
export const QEMU_DEVICE_KEYS = {
  rootfsType: accepted({
    kind: choice("erofs", "ext4", "xfs"),
    default: "erofs",
    about: "File system of the guest image.",
  }),
  vmRootfsDriver: accepted({
    kind: choice("virtio-pmem", "virtio-blk-pci"),
    default: "virtio-pmem",
    about: "How the guest image is attached.",
  }),
  disableImageNvdimm: accepted({
    kind: flag(),
    default: false,
    about: "Attach the guest image as a disk rather than as persistent memory.",
    annotation: {},
  }),
  defaultBridges: accepted({
    kind: integer(0, 5),
    default: 1,
    about: "PCI bridges for devices plugged in later.",
  }),
  disableBlockDeviceUse: accepted({
    kind: flag(),
    default: false,
    about: "Never give a container's root file system to the guest as a disk.",
    annotation: {},
  }),
  blockDeviceDriver: active({
    kind: choice("virtio-blk", "virtio-blk-pci", "virtio-scsi"),
    default: "virtio-blk",
    about:
      "The kind of disk the guest sees. `virtio-scsi` puts all disks of a pod behind one controller, so that there can be tens of thousands; `virtio-blk` is quicker to plug in, and takes a place of its own for each, of which there are 62.",
    annotation: {},
  }),
  blockDeviceAio: active({
    kind: choice("threads", "native", "io_uring"),
    default: "threads",
    about:
      "How QEMU reads and writes disks. `native` bypasses the host's page cache, whatever the next settings say.",
    annotation: {},
  }),
  blockDeviceCacheSet: active({
    kind: flag(),
    default: false,
    about: "Whether the two settings that follow apply.",
    annotation: {},
  }),
  blockDeviceCacheDirect: active({
    kind: flag(),
    default: false,
    about: "Bypass the host's page cache.",
    annotation: {},
  }),
  blockDeviceCacheNoflush: active({
    kind: flag(),
    default: false,
    about: "Ignore the guest's flushes.",
    annotation: {},
  }),
  sharedFs: active({
    kind: choice("none", "virtio-fs"),
    default: "virtio-fs",
    about:
      "How files of the host reach the guest where copies do not do. `virtio-fs` starts an unprivileged virtiofsd with the first container that needs it; `none` never does: such containers are refused.",
    annotation: {},
  }),
  virtioFsDaemon: active({
    kind: path({ emptyMeans: "wherever Debian or Kata's own packages put it" }),
    default: "",
    about: "The virtiofsd program: the one in Rust, or the one that came with QEMU 7.",
    annotation: { globs: "valid_virtio_fs_daemon_paths" },
  }),
  validVirtioFsDaemonPaths: active({
    kind: globList(),
    default: ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"],
    about: "Patterns for the values that the annotation `virtio_fs_daemon` may have.",
  }),
  virtioFsCache: active({
    kind: choice("never", "metadata", "auto", "always"),
    default: "auto",
    about: "What virtiofsd lets the guest cache.",
    annotation: {},
  }),
  virtioFsCacheSize: accepted({
    kind: integer(0, 1_048_576),
    default: 0,
    about: "Size in MiB of the window for direct access (DAX).",
    annotation: {},
  }),
  virtioFsQueueSize: active({
    kind: integer(1, 1024),
    default: 1024,
    about: "Length of virtio-fs's queue.",
  }),
  virtioFsExtraArgs: active({
    kind: textList({ pattern: /^[^\0\n]+$/, accepts: "a list of strings", separator: "\n" }),
    default: ["--thread-pool-size=1", "--announce-submounts"],
    about: "More arguments for virtiofsd. No annotation can set them.",
  }),
  enableMemPrealloc: accepted({
    kind: flag(),
    default: false,
    about: "Take all of the guest's memory from the host at its start.",
    annotation: {},
  }),
  enableHugepages: active({
    kind: flag(),
    default: false,
    about:
      "Make the guest's memory of huge pages, which the host must have set aside (`vm.nr_hugepages`). All that the pod has is taken when it starts, and it always boots: templates are not used.",
    annotation: {},
  }),
  hotPlugVfio: active({
    kind: choice("no-port", "bridge-port", "root-port", "switch-port"),
    default: "bridge-port",
    about:
      "Whether containers can be given devices of the host (`/dev/vfio/N`), which are plugged into the guest while it runs: behind a PCI bridge, whichever port is named. `no-port`: such containers are refused.",
    annotation: {},
  }),
  disableVhostNet: active({
    kind: flag(),
    default: false,
    about:
      "Move the frames of network cards in QEMU, also where the host's kernel offers to (`/dev/vhost-net`).",
    annotation: {},
  }),
  entropySource: accepted({
    kind: path(),
    default: "/dev/urandom",
    about: "Where the guest's random numbers come from.",
    annotation: { globs: "valid_entropy_sources" },
  }),
  validEntropySources: accepted({
    kind: globList(),
    default: ["/dev/urandom", "/dev/random"],
    about: "Patterns for the values that the annotation `entropy_source` may have.",
  }),
};
