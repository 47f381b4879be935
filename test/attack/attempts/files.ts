// SPDX-License-Identifier: Apache-2.0
import { closeSync, openSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { DOES_NOTHING, ENDS_PASST } from "../passt-walls.ts";
import { call } from "../system.ts";
import type { Attempt, Targets } from "../types.ts";

const EMPTY_ROOT = "the jail: an empty root in memory with what the program needs, read-only";
const NO_CAPABILITY = "no capability";
const BIND = 0x1000;
const OPEN_TREE_CLONE = 1;
const AT_FDCWD = -100;
const BLOCK_DEVICE_0600 = 0o060_600;
const FIRST_DISK = 8 << 8;

export const FILES: readonly Attempt[] = [
  {
    name: "read the host's files, another pod's runtime directory, images, sockets, journals",
    wall: EMPTY_ROOT,
    refusals: ["ENOENT"],
    run: ({ paths }) => first(paths, (path) => void statSync(path)),
  },
  {
    name: "the same by way of `..`, of /proc/1/root and of its working directory",
    wall: EMPTY_ROOT,
    refusals: ["ENOENT"],
    run: ({ paths }) => {
      const ways = ["/..", "/../..", "/proc/1/root/..", "/proc/1/cwd/..", "/proc/self/root/../.."];
      first(
        ways.flatMap((way) => paths.map((path) => way + path)),
        (path) => void statSync(path),
      );
    },
  },
  {
    name: "leave by a descriptor of a directory",
    wall: "it is given none that leads out of the jail",
    refusals: ["ENOENT", "ENOTDIR"],
    run: ({ paths }) => {
      const descriptors = readdirSync("/proc/self/fd").map((name) => `/proc/self/fd/${name}`);
      const ways = descriptors.flatMap((fd) => paths.map((path) => `${fd}/../../../../..${path}`));
      first(ways, (path) => void statSync(path));
    },
  },
  {
    name: "write to its own root, libraries and devices",
    wall: EMPTY_ROOT,
    refusals: ["EROFS", "EACCES"],
    run: () => {
      first(["/x", "/dev/x", "/usr/x", "/etc/ld.so.cache"], (path) => writeFileSync(path, "x"));
    },
  },
  {
    name: "open memory, disks, and devices that nobody gave it",
    wall: EMPTY_ROOT,
    refusals: ["ENOENT", "ENXIO"],
    run: () => {
      const names = ["mem", "port", "kmsg", "sda", "vda", "loop0", "loop-control", "fuse"];
      const more = ["vhost-net", "vhost-vsock", "vfio/vfio", "net/tun", "uinput", "tty"];
      first(
        [...names, ...more].map((name) => `/dev/${name}`),
        openAndClose,
      );
    },
  },
  {
    name: "make a device node of the first disk",
    wall: "needs CAP_MKNOD in the first user namespace; nodev",
    refusals: ["EPERM", "EROFS"],
    run: () => void call("mknod", "/dev/disk", BLOCK_DEVICE_0600, FIRST_DISK),
  },
  {
    name: "settings of the kernel below /proc/sys, and its other files",
    wall: "its /proc shows processes only, or is read-only",
    refusals: ["ENOENT", "EACCES", "EROFS", "EPERM"],
    run: () => {
      const paths = ["sys/kernel/core_pattern", "sysrq-trigger", "sys/vm/overcommit_memory"];
      first(
        paths.map((path) => `/proc/${path}`),
        (path) => writeFileSync(path, "|/tmp/x"),
      );
    },
  },
  skipped("mount a file system", () => call("mount", "none", "/proc", "tmpfs", 0, null)),
  skipped("show one directory in another's place", () => {
    call("mount", "/", "/proc", "none", BIND, null);
  }),
  deadly("copy the tree of mounts", () => call("open_tree", AT_FDCWD, "/", OPEN_TREE_CLONE)),
  deadly("open a file system to configure it", () => call("fsopen", "tmpfs", 0)),
  skipped("unmount what hides something", () => call("umount2", "/proc", 2)),
  skipped("change its root", () => call("pivot_root", "/", "/proc"), ["EPERM", "EINVAL"]),
  deadly("open a file by its handle, whatever lies in the way", () => {
    const handle = Buffer.alloc(136);
    handle.writeUInt32LE(8, 0);
    handle.writeInt32LE(1, 4);
    call("open_by_handle_at", AT_FDCWD, handle, 0);
  }),
];

/** Comes last: whoever may do it sees nothing else afterwards. */
export const CHROOT: Attempt = {
  name: "chroot, to escape by a directory that is still open",
  wall: "no capability; for virtiofsd, which may: beside its root lies nothing, and nobody may enter",
  refusals: ["EPERM", "EACCES", "ENOENT"],
  forPasst: ENDS_PASST,
  run: ({ paths }) => {
    call("chroot", "/proc");
    // Whoever may do so goes on with the old trick.
    first(
      paths.map((path) => `${"../".repeat(8)}${path}`),
      (path) => void statSync(path),
    );
  },
};

/** Tries all; the last refusal when nothing works. */
function first(paths: readonly string[], attempt: (path: string) => void): void {
  let refusal: unknown;
  for (const path of paths) {
    try {
      attempt(path);
      throw Object.assign(new Error(), { code: `DONE ${path}` });
    } catch (error) {
      const { code } = error as { code?: string };
      if (code?.startsWith("DONE")) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function skipped(...attempt: Parameters<typeof refused>): Attempt {
  return { ...refused(...attempt), forPasst: DOES_NOTHING };
}

function deadly(...attempt: Parameters<typeof refused>): Attempt {
  return { ...refused(...attempt), forPasst: ENDS_PASST };
}

function openAndClose(path: string): void {
  closeSync(openSync(path, "r"));
}

function refused(
  name: string,
  run: (targets: Targets) => unknown,
  refusals: readonly string[] = ["EPERM"],
): Attempt {
  return { name, refusals, wall: NO_CAPABILITY, run: (targets) => void run(targets) };
}
