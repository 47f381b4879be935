// SPDX-License-Identifier: Apache-2.0
import { basename } from "node:path";

const PACKAGES: Record<string, string> = {
  "qemu-system-x86_64": "qemu-system-x86",
  setpriv: "util-linux",
  unshare: "util-linux",
  nsenter: "util-linux",
  prlimit: "util-linux",
  choom: "util-linux",
  mount: "mount",
  useradd: "passwd",
  userdel: "passwd",
  groupadd: "passwd",
  groupdel: "passwd",
  skopeo: "skopeo",
  umoci: "umoci",
  "mkfs.erofs": "erofs-utils",
  "mkfs.ext4": "e2fsprogs",
  zstd: "zstd",
  xz: "xz-utils",
  ip: "iproute2",
  tc: "iproute2",
};

/** The Debian package that a program comes from, when it is one that mukon uses. */
export function packageOf(program: string): string | undefined {
  return PACKAGES[basename(program)];
}
