// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { Count } from "./primitives.ts";

/**
 * What a container uses, as the guest says: plain numbers, each cut to 2^53-1 (which stands for
 * "no limit" too). Nothing in it may be believed beyond being a number.
 */
export const Stats = v.strictObject({
  cpu: v.strictObject({
    usageNanoseconds: Count,
    userNanoseconds: Count,
    kernelNanoseconds: Count,
    periods: Count,
    throttledPeriods: Count,
    throttledNanoseconds: Count,
  }),
  memory: v.strictObject({
    usageBytes: Count,
    maxUsageBytes: Count,
    limitBytes: Count,
    failures: Count,
    swapUsageBytes: Count,
    swapLimitBytes: Count,
    cacheBytes: Count,
    anonymousBytes: Count,
    fileBytes: Count,
    inactiveFileBytes: Count,
    pageFaults: Count,
    majorPageFaults: Count,
  }),
  pids: v.strictObject({ current: Count, limit: Count }),
});
export type Stats = v.InferOutput<typeof Stats>;
