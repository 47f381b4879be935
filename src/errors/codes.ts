// SPDX-License-Identifier: Apache-2.0

/** Codes that belong to no layer. */
export const GENERAL_CODES = {
  INTERNAL: "A failure that mukon did not foresee; its message is the system's own.",
} as const;
