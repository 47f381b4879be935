// SPDX-License-Identifier: Apache-2.0

/** Building, finding and checking the guest's kernel and images. */
export const GUEST_CODES = {
  GUEST_NOT_BUILT: "No guest image is there: `mukon guest build` has not run on this machine yet.",
  GUEST_HASH_MISMATCH: "A file of the guest image is not the one that its manifest names.",
  GUEST_MANIFEST_INVALID: "The manifest of the guest image cannot be read or is malformed.",
  GUEST_ARCHIVE_UNKNOWN: "The machine's apt configuration names no Debian archive to build from.",
  GUEST_ARCHIVE_UNREACHABLE: "The Debian archive cannot be read, or its signature is not valid.",
  GUEST_PACKAGE_MISSING: "The Debian archive lacks a package that the guest image is made of.",
  GUEST_PACKAGE_CORRUPT: "A downloaded package is not the one that the signed index names.",
  GUEST_KERNEL_INVALID: "The kernel package holds no kernel that a VM can boot directly.",
  GUEST_MODULE_MISSING: "The kernel package lacks a module that the guest needs.",
  GUEST_LIBRARY_MISSING: "A program of the guest needs a shared library that is not to be found.",
  GUEST_INPUT_MISSING: "The agent program or the Node binary for the guest image is not there.",
  GUEST_DISK_FULL: "There is not enough free space to build the guest image.",
  GUEST_BUILD_INTERRUPTED: "The build of the guest image was interrupted; it left nothing behind.",
} as const;
