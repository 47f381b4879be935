// SPDX-License-Identifier: Apache-2.0

/**
 * Bounds of the conversation between shim and keeper. The keeper reads bytes of the guest, so
 * the shim treats it as captured: whatever it sends is small, typed and rare.
 */

/** Longest line from shim to keeper: it may hold a whole OCI spec. */
export const MAX_REQUEST_LINE_BYTES = 4 * 1024 * 1024;
/** Longest line from keeper to shim. */
export const MAX_REPLY_LINE_BYTES = 64 * 1024;
/** Characters of the guest's console that go with a failure. */
export const MAX_CONSOLE_TAIL_CHARACTERS = 8 * 1024;
/** Characters of an error's message or hint. */
export const MAX_MESSAGE_CHARACTERS = 4 * 1024;
/** More events in one second than this, and the shim gives the pod up. */
export const MAX_EVENTS_PER_SECOND = 200;
/** Requests that may wait for their reply at the same time. */
export const MAX_PENDING_REQUESTS = 256;
/** Descriptors that one request may carry: standard input takes two, the outputs one each. */
export const MAX_DESCRIPTORS_PER_REQUEST = 4;
/** Bytes of a volume's file in one message; base64 makes a third more of them. */
export const MAX_VOLUME_PART_BYTES = 512 * 1024;
/** Volumes of one container. */
export const MAX_VOLUMES = 256;
/** Read-only layers of one container. */
export const MAX_LAYERS = 128;

/** The descriptors that a keeper is started with. */
export const KEEPER_DESCRIPTORS = {
  control: 3,
  descriptors: 4,
  qmp: 5,
  agent: 6,
  console: 7,
} as const;

/** Most memory that a guest gets after its start, in MiB: a tebibyte. */
export const MAX_EXTRA_MEMORY_MIB = 1024 * 1024;
export const MAX_EXTRA_VCPUS = 1024;
