// SPDX-License-Identifier: Apache-2.0

/** Kata's option of a mount: this file of the host's is the image of a disk. */
export const FILE_IS_DISK = "io.katacontainers.fs-opt.block_device=file";
