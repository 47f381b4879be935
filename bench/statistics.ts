// SPDX-License-Identifier: Apache-2.0

export interface Summary {
  /** Milliseconds. */
  p50: number;
  p95: number;
  minimum: number;
}

/** Of at least one sample, by nearest rank. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
  return { p50: at(0.5), p95: at(0.95), minimum: sorted[0] ?? Number.NaN };
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
