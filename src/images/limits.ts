// SPDX-License-Identifier: Apache-2.0

/** What an image may cost. Bytes of layers come from strangers; these bounds do not. */
export interface ImageLimits {
  /** Bytes that one step (download, unpack, pack) may add to the disk. */
  maxBytes: number;
  /** Bytes of one file. */
  maxFileBytes: number;
  /** Files that unpacking may add. */
  maxFiles: number;
  /** Memory of the program that handles the image. */
  maxMemoryBytes: number;
  /** Time of one step. */
  timeoutMs: number;
}

const GIB = 1024 ** 3;

export const DEFAULT_LIMITS: ImageLimits = {
  maxBytes: 64 * GIB,
  maxFileBytes: 32 * GIB,
  maxFiles: 4_000_000,
  maxMemoryBytes: 2 * GIB,
  timeoutMs: 60 * 60_000,
};

/** Largest manifest; what registries and skopeo accept too. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
export const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
export const MAX_LAYERS = 512;
/** Largest /etc/passwd or /etc/group that is read. */
export const MAX_ACCOUNTS_FILE_BYTES = 1024 * 1024;
