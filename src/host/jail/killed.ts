// SPDX-License-Identifier: Apache-2.0

/** What to do about a process that has not ended by itself. */
export const KILLED_HINT =
  "start it again; where nobody has killed it, the kernel may have, for want of memory: journalctl -k";
