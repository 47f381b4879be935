// SPDX-License-Identifier: Apache-2.0
import { usage } from "./quantities.ts";

/** KEY=VALUE words of the command line, as annotations. */
export function parsePairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals <= 0) throw usage("--annotation", pair, "KEY=VALUE");
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}
