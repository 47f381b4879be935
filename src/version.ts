// SPDX-License-Identifier: Apache-2.0

/** The release of mukon; the same as in package.json (a unit test compares them). */
export const VERSION = "0.1.0";
