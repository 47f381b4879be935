// SPDX-License-Identifier: Apache-2.0

/** What the test host consists of, beside the essential packages of the release. */
export const HOST_PACKAGES: readonly string[] = [
  // A host as systemd makes it.
  ...["systemd-sysv", "dbus", "udev", "kmod", "procps", "iproute2", "libnss-systemd"],
  ...["openssh-server", "ca-certificates", "debian-archive-keyring"],
  // What mukon needs at run time (RUNTIME_PACKAGES of scripts/lib/prepare.sh).
  ...["qemu-system-x86", "util-linux", "passwd", "e2fsprogs", "erofs-utils"],
  ...["skopeo", "umoci", "zstd", "xz-utils", "nodejs"],
  // What its tests need, and what later back ends will.
  ...["containerd", "runc", "crun", "attr", "libcap2-bin", "python3", "docker-registry"],
  "strace",
  ...["virtiofsd", "passt", "uidmap", "nftables", "containernetworking-plugins"],
];

/** Documentation and translations: a third of the image, and nobody reads them there. */
export const LEFT_OUT: readonly string[] = [
  "/usr/share/doc/*",
  "/usr/share/man/*",
  "/usr/share/locale/*",
  "/usr/share/info/*",
];
