// SPDX-License-Identifier: Apache-2.0
import { MukonError } from "../../errors/mukon-error.ts";
import { formatBytes } from "../output/table.ts";

const FACTORS: Record<string, number> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

const SECONDS: Record<string, number> = { "": 1, ms: 0.001, s: 1, m: 60, h: 3600 };

/** Bounds of a size, both of them accepted. */
export interface ByteRange {
  least: number;
  most: number;
}

const ANY_SIZE: ByteRange = { least: 1, most: Number.MAX_SAFE_INTEGER };

/** "512m", "1.5g", "67108864": bytes, by powers of 1024, as Docker reads them. */
export function parseBytes(option: string, text: string, range = ANY_SIZE): number {
  const match = /^(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?$/i.exec(text.trim());
  const factor = FACTORS[match?.[2]?.toLowerCase() ?? ""];
  const bytes =
    match === null || factor === undefined ? Number.NaN : Math.floor(Number(match[1]) * factor);
  if (!Number.isSafeInteger(bytes) || bytes === 0)
    throw usage(option, text, "a size such as 512m, 1.5g or 67108864");
  if (bytes >= range.least && bytes <= range.most) return bytes;
  const bounds = [range.least, range.most].map(formatBytes).join(" to ");
  throw usage(option, text, `a size of ${bounds}`);
}

/** "30", "30s", "1.5m", "500ms": milliseconds. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text.trim());
  const factor = SECONDS[match?.[2] ?? ""];
  const milliseconds =
    match === null || factor === undefined
      ? Number.NaN
      : Math.round(Number(match[1]) * factor * 1000);
  if (Number.isSafeInteger(milliseconds) && milliseconds > 0 && milliseconds <= 0x7fffffff)
    return milliseconds;
  throw usage(option, text, "a time such as 30s, 5m or 500ms");
}

/** A positive decimal number, for `--cpus`. */
export function parseCount(option: string, text: string, most = 1024): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= most) return value;
  throw usage(option, text, "a positive number");
}

/** A wrong word of the command line; the hint, how to get help, is put to it at the very end. */
export function usage(option: string, value: string, accepted: string): MukonError {
  return new MukonError("USAGE", `${option}: ${JSON.stringify(value)} is not ${accepted}`);
}
