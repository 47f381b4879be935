// SPDX-License-Identifier: Apache-2.0

/** Failures of the keeper, and of the conversation with it. */
export const KEEPER_CODES = {
  KEEPER_PROTOCOL: "Shim and keeper disagree: a message is malformed, too long, or unexpected.",
  KEEPER_TIMEOUT: "The keeper did not answer a request in time.",
  KEEPER_CLOSED: "The keeper of the pod has ended.",
  KEEPER_BUSY: "Too many requests to the keeper are under way.",
  KEEPER_DESCRIPTORS: "File descriptors could not be passed between shim and keeper.",
  KEEPER_REQUEST_INVALID: "The keeper was asked for something that its schema does not allow.",
  GUEST_BOOT_FAILED: "The guest did not come up; the error's details name the stage.",
  GUEST_CALL_FAILED: "The guest's agent refused a call.",
  CONTAINER_PROGRAM_NOT_FOUND: "The container has no such program (exit code 127).",
  CONTAINER_PROGRAM_NOT_EXECUTABLE:
    "What was to be run is no program, or not for this user (exit code 126).",
  GUEST_CALL_TIMEOUT: "The guest's agent did not answer a call in time.",
  GUEST_LOST: "The VMM or the guest's agent of the pod is gone.",
  PROCESS_UNKNOWN: "The keeper knows no such container or exec.",
  PROCESS_EXISTS: "A container or exec of this id exists already.",
  PROCESS_STATE: "The process is not in a state that allows the operation.",
  STDIN_NOT_OPEN: "The process has no standard input that could be closed.",
} as const;
