// SPDX-License-Identifier: Apache-2.0

/** Failures of finding, downloading, unpacking and keeping container images. */
export const IMAGE_CODES = {
  IMAGE_REFERENCE_INVALID: "The name of an image is not written as one.",
  IMAGE_NOT_FOUND: "There is no image of this name where it was looked for.",
  IMAGE_PULL_DENIED: "The registry wants a login, or refuses this one.",
  IMAGE_REGISTRY_UNREACHABLE: "The registry did not answer, or not as a registry does.",
  IMAGE_PULL_FAILED: "An image could not be downloaded or read from its archive.",
  IMAGE_PLATFORM_MISSING: "The image exists, but not for this machine's architecture.",
  IMAGE_INVALID: "An image breaks the OCI image format, or a limit of mukon.",
  IMAGE_UNPACK_FAILED: "The layers of an image could not be unpacked.",
  IMAGE_PACK_FAILED: "A root file system image could not be made.",
  IMAGE_TOO_LARGE: "An image, or one file in it, is larger than it may be.",
  IMAGE_STORE_FULL: "The disk that holds the images is full, or nearly so.",
  IMAGE_STORE_INVALID: "A file of the image store is not what mukon wrote there.",
  IMAGE_CONFINEMENT_UNAVAILABLE: "This host cannot confine the programs that handle images.",
  IMAGE_BUILT_IN: "The built-in image cannot be removed.",
  ROOTFS_DIRECTORY_INVALID: "What was given as a root file system is not a directory.",
  CREDENTIALS_INVALID: "The file with the logins of registries cannot be used.",
  USER_NOT_FOUND: "The image has no such user or group.",
} as const;
