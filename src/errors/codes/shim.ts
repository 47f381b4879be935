// SPDX-License-Identifier: Apache-2.0

/** The shim: its command line, and the Task API. */
export const SHIM_CODES = {
  SHIM_ARGUMENTS: "The shim was called with arguments that it does not know, or too few.",
  SHIM_SOCKET: "The shim's socket could not be made.",
  SHIM_DAEMON: "The shim's daemon could not be started.",
  POD_NOT_RUNNING: "A container is to join a pod whose sandbox is not running.",
  BUNDLE_INVALID: "The bundle's config.json cannot be read.",
  RUNTIME_OPTIONS_INVALID: "The options that came with the request cannot be read.",
  TASK_NOT_FOUND: "The shim knows no such container or exec.",
  TASK_EXISTS: "A container or exec of this id is there already.",
  TASK_STATE: "The container or exec is not in a state that allows the operation.",
  HOOK_FAILED: "A program that the container's client wants to have run on the host has failed.",
  ROOTFS_UNSUPPORTED: "The container's root file system is of a kind that the guest cannot have.",
  VOLUME_UNSUPPORTED: "The container has a mount of the host's that the guest cannot have.",
  STDIO_UNSUPPORTED: "A standard stream is of a kind that mukon does not know.",
  STDIO_UNUSABLE: "A standard stream cannot be opened.",
  EVENT_REFUSED: "containerd has read an event and does not take it.",
  CALL_UNSUPPORTED: "The call is part of the Task API, but mukon does not offer it.",
} as const;
