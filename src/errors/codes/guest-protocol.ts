// SPDX-License-Identifier: Apache-2.0

/** Codes of what is said to the agent in the guest, and of the OCI spec it is made from. */
export const GUEST_PROTOCOL_CODES = {
  OCI_SPEC_INVALID: "The OCI spec (config.json) is malformed, or a field has the wrong type.",
  OCI_SPEC_TOO_LARGE: "The OCI spec is larger than a request to the guest may be.",
  OCI_PROCESS_INVALID: "The process to run in the container is malformed.",
  ROOTFS_LAYERS_INVALID: "The layers of a container's root file system cannot be put together.",
  CONTAINER_ID_INVALID: "A container id is empty, too long, or has characters unfit for a path.",
  AGENT_REPLY_INVALID: "The agent in the guest answered with something that cannot be true.",
} as const;
