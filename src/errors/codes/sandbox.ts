// SPDX-License-Identifier: Apache-2.0

/** A pod's life cycle. */
export const SANDBOX_CODES = {
  POD_ENDED: "The pod is over: its VMM or its keeper has ended, or it was shut down.",
  DISK_INVALID: "A file that is to be a disk of the pod is missing or of the wrong kind.",
} as const;
