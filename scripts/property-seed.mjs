// SPDX-License-Identifier: Apache-2.0
// Preloaded by the test runner: property tests and those that kill at many moments take their seed from
// MUKON_TEST_SEED, which is fixed in CI (a run there must be repeatable) and random elsewhere (so that new
// cases are found).
import fc from "fast-check";

const wanted = process.env.MUKON_TEST_SEED ?? (process.env.CI ? "20261124" : undefined);
const seed = wanted === undefined ? Date.now() % 0x7fffffff : Number(wanted);
if (wanted !== undefined) process.env.MUKON_TEST_SEED = wanted;
fc.configureGlobal({ seed });
