// SPDX-License-Identifier: Apache-2.0

/** `fixed`: was wrong, and is right now. `warning`: pods run, but not as well as they could. */
export type CheckStatus = "ok" | "warning" | "failed" | "fixed";

/** One line about the host. */
export interface CheckResult {
  /** Short and fixed: `kvm-node`, `packages`. */
  name: string;
  status: CheckStatus;
  message: string;
  /** What to do, in one line; for `warning` and `failed` only. */
  remedy?: string;
}

/** What other layers know; left out, their lines are left out too. */
export interface CheckProbes {
  /** Runs a guest for real. */
  accelerator?: () => Promise<{ accelerator: "kvm" | "tcg"; reason: string }>;
  /** Resolves when the guest image is there and sound, with a few words about it. */
  guest?: () => Promise<string>;
}
