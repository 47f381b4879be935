// SPDX-License-Identifier: Apache-2.0

/** Failures of the command line itself. */
export const CLI_CODES = {
  USAGE: "The command line has an unknown command or option, or a value that is not accepted.",
  CONTAINER_NOT_FOUND: "No container has the given name or id.",
  CONTAINER_AMBIGUOUS: "The given id prefix matches more than one container.",
  CONTAINER_NAME_IN_USE: "Another container has this name already.",
  CONTAINER_RUNNING: "The operation needs a container that has ended.",
  CONTAINER_NOT_RUNNING: "The operation needs a running container.",
  SHIM_START_FAILED: "The shim program could not be started, or ended before it answered.",
  SHIM_UNREACHABLE: "The shim of this container does not answer on its socket.",
  NO_COMMAND: "Neither the command line nor the image says what to run.",
  ENVIRONMENT_FILE_INVALID: "A line of the file given by --env-file is not NAME=value or NAME.",
  NOT_A_TERMINAL: "A terminal was asked for, but standard input is not one.",
  ROOT_REQUIRED: "The command needs root on this host.",
  BUNDLE_DAMAGED: "The record of a container is missing or cannot be read.",
  AUDIT_FAILED: "A process of a sandbox can do more than it was promised.",
  INTERRUPTED: "A signal ended the command before its container ran.",
  HOST_NOT_READY: "The host lacks something that mukon needs.",
} as const;
