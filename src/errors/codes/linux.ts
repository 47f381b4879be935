// SPDX-License-Identifier: Apache-2.0

/** Failures of system calls and of programs that were run. */
export const LINUX_CODES = {
  COMMAND_NOT_FOUND: "A program that mukon needs is not installed.",
  COMMAND_FAILED: "A program that mukon ran ended with a failure.",
  COMMAND_TIMEOUT: "A program that mukon ran did not end in time, and was killed.",
  COMMAND_ABORTED: "A program that mukon ran was stopped because its result was no longer wanted.",
  COMMAND_OUTPUT_TOO_LONG: "A program that mukon ran printed more than it may, and was killed.",
  FFI_UNAVAILABLE: "The library that mukon makes system calls with is missing or broken.",
  PROCESS_STATUS_UNREADABLE: "The kernel does not tell all facts of a process.",
  SANDBOX_KEY_INVALID: "The id of a container or its namespace cannot be part of a path.",
  SECCOMP_FAILED: "A process could not filter its own system calls, and went no further.",
  SYSTEM_CALL_FAILED: "The kernel refused a system call.",
  DESCRIPTORS_NOT_SENT: "File descriptors could not be handed to another process.",
  DESCRIPTORS_TRUNCATED: "Another process sent more file descriptors than it may.",
  TAP_UNAVAILABLE: "No tap device could be made, which a pod's network needs.",
  FIFO_INVALID: "A path that was given as a FIFO is something else.",
  LOCK_TIMEOUT: "Another process holds a lock for too long.",
  USER_NAMESPACE_FAILED: "A user namespace could not be made.",
} as const;
