// SPDX-License-Identifier: Apache-2.0

/** A pod's life cycle. */
export const SANDBOX_CODES = {
  POD_ENDED: "The pod is over: its VMM or its keeper has ended, or it was shut down.",
  DISK_INVALID: "A file that is to be a disk of the pod is missing or of the wrong kind.",
  DISK_IN_USE:
    "A block device that a container is to write to is mounted, or used otherwise, on the host.",
  TEMPLATE_DAMAGED: "A template is not what was put into the store; it is never used.",
  TEMPLATE_UNKNOWN: "There is no template of this name.",
  TEMPLATE_REFUSED: "With these settings no template is used, so none is made.",
  CLONE_FAILED: "A pod could not be started from its template; it is booted instead.",
  SHARED_FS_OFF: "Something is to be shared with the guest, and the configuration forbids it.",
} as const;
