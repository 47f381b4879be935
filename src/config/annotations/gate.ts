// SPDX-License-Identifier: Apache-2.0
import { runInNewContext } from "node:vm";
import { MukonError } from "../../errors/mukon-error.ts";

/** Of the clock's time: what takes a millisecond may take hundreds on a host that starts many pods. */
const TIMEOUT_MS = 2_000;
const MAX_NAME_LENGTH = 128;

/**
 * Which of `names` match one of the regular expressions of `enable_annotations`, anywhere in
 * them, as in Kata. The expressions are the administrator's, the names anyone's: an expression
 * that takes exponential time on some name must cost that pod alone, so matching is cut off.
 *
 * @throws MukonError ANNOTATION_PATTERN_SLOW
 */
export function enabledNames(names: readonly string[], patterns: readonly string[]): Set<string> {
  const short = names.filter((name) => name.length <= MAX_NAME_LENGTH);
  if (short.length === 0 || patterns.length === 0) return new Set();
  // Strings go in and out as JSON, so no object of ours is reachable from the other context.
  const code = `
    const patterns = JSON.parse(patternsJson).map((source) => new RegExp(source));
    JSON.stringify(JSON.parse(namesJson).filter((name) => patterns.some((one) => one.test(name))));
  `;
  const input = { patternsJson: JSON.stringify(patterns), namesJson: JSON.stringify(short) };
  try {
    const matching: unknown = JSON.parse(
      String(
        runInNewContext(code, Object.assign(Object.create(null), input), { timeout: TIMEOUT_MS }),
      ),
    );
    return new Set(Array.isArray(matching) ? matching.map(String) : []);
  } catch (error) {
    throw new MukonError(
      "ANNOTATION_PATTERN_SLOW",
      `Matching the pod's annotations against enable_annotations took longer than ${TIMEOUT_MS} ms.`,
      { hint: "Write the expressions without nested repetitions such as (a+)+.", cause: error },
    );
  }
}
