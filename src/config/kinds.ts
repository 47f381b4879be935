// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";

/** What a setting may hold: how it is checked, how an annotation spells it, how people call it. */
export interface Kind<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  /** The accepted values in words, for errors and documentation. */
  readonly accepts: string;
  /** Turns an annotation's text into a value for the schema; `undefined` when it cannot be one. */
  readonly fromText: (text: string) => unknown;
}

const MAX_TEXT_LENGTH = 4096;
const MAX_LIST_LENGTH = 256;

/** True or false; annotations may spell it in any way Go's `strconv.ParseBool` takes. */
export function flag(): Kind<boolean> {
  return {
    schema: v.boolean(),
    accepts: "true or false",
    fromText: (text) => {
      if (["1", "t", "T", "true", "TRUE", "True"].includes(text)) return true;
      if (["0", "f", "F", "false", "FALSE", "False"].includes(text)) return false;
      return undefined;
    },
  };
}

export function integer(min: number, max: number): Kind<number> {
  return {
    schema: v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max)),
    accepts: `a whole number from ${min} to ${max}`,
    fromText: (text) => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined),
  };
}

/** Like {@link integer}, but 0 is accepted as well and stands for something else. */
export function integerOrZero(min: number, max: number): Kind<number> {
  const whole = integer(min, max);
  return {
    ...whole,
    schema: v.union([v.literal(0), whole.schema]),
    accepts: `0, or ${whole.accepts}`,
  };
}

export function decimal(min: number, max: number): Kind<number> {
  return {
    schema: v.pipe(v.number(), v.finite(), v.minValue(min), v.maxValue(max)),
    accepts: `a number from ${min} to ${max}`,
    fromText: (text) => (/^[0-9]{1,6}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : undefined),
  };
}

export function choice<const T extends readonly string[]>(...values: T): Kind<T[number]> {
  return {
    schema: v.picklist(values),
    accepts: `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
    fromText: (text) => text,
  };
}

/** Text of one line that matches `pattern` wholly. */
export function text(pattern: RegExp, accepts: string, maxLength = MAX_TEXT_LENGTH): Kind<string> {
  return {
    schema: v.pipe(v.string(), v.maxLength(maxLength), v.regex(pattern)),
    accepts,
    fromText: (value) => value,
  };
}

/** An absolute path without `..`, `.` or empty parts; `""` means "not set" where allowed. */
export function path(options: { emptyMeans?: string } = {}): Kind<string> {
  const empty = options.emptyMeans;
  return {
    schema: v.pipe(
      v.string(),
      v.maxLength(MAX_TEXT_LENGTH),
      v.check((value) => (value === "" ? empty !== undefined : isPlainAbsolutePath(value))),
    ),
    accepts: `an absolute path${empty === undefined ? "" : `, or "" for ${empty}`}`,
    fromText: (value) => value,
  };
}

/** A list of strings that each match `pattern`; annotations separate them by `separator`. */
export function textList(options: {
  pattern: RegExp;
  accepts: string;
  separator: string;
}): Kind<readonly string[]> {
  const item = v.pipe(v.string(), v.maxLength(MAX_TEXT_LENGTH), v.regex(options.pattern));
  return {
    schema: v.pipe(v.array(item), v.maxLength(MAX_LIST_LENGTH)),
    accepts: options.accepts,
    fromText: (value) =>
      value
        .split(options.separator)
        .map((part) => part.trim())
        .filter((part) => part !== ""),
  };
}

/** A list of patterns for absolute paths; see `annotations/globs.ts` for what they may hold. */
export function globList(): Kind<readonly string[]> {
  return {
    ...textList({
      // Kata's own files have an empty pattern in one list; it matches no path.
      pattern: /^(\/[^\0\n]*)?$/,
      accepts: "a list of absolute path patterns, where * and ? match within one folder",
      separator: " ",
    }),
    fromText: () => undefined,
  };
}

const MAX_PATTERNS = 64;
const MAX_PATTERN_LENGTH = 256;

/** A list of regular expressions, few and short. */
export function patternList(): Kind<readonly string[]> {
  const item = v.pipe(v.string(), v.maxLength(MAX_PATTERN_LENGTH), v.check(isRegularExpression));
  return {
    schema: v.pipe(v.array(item), v.maxLength(MAX_PATTERNS)),
    accepts: `a list of at most ${MAX_PATTERNS} regular expressions of JavaScript's kind, each at most ${MAX_PATTERN_LENGTH} characters`,
    fromText: () => undefined,
  };
}

function isRegularExpression(source: string): boolean {
  try {
    new RegExp(source);
    return true;
  } catch {
    return false;
  }
}

/** Absolute, in its shortest spelling, so that what is compared is what is opened. */
function isPlainAbsolutePath(value: string): boolean {
  if (!/^\/[^\0\n]*$/.test(value)) return false;
  const parts = value.slice(1).split("/");
  return parts.every((part) => part !== "" && part !== "." && part !== "..");
}
