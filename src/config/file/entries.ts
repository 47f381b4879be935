// SPDX-License-Identifier: Apache-2.0
import * as v from "valibot";
import { MukonError } from "../../errors/mukon-error.ts";
import { describeValue, printable } from "../describe-value.ts";
import {
  ASKED_BY_FALSE,
  KATA_ONLY_KEYS,
  KATA_ONLY_SECTIONS,
  REFUSED_KEYS,
} from "../keys/kata-only.ts";
import { SETTINGS, SETTINGS_BY_KEY, type Setting } from "../keys/registry.ts";
import { nearestKey } from "../nearest.ts";
import type { TomlFile } from "./read.ts";

/** A checked value of a file. */
export interface Entry {
  readonly setting: Setting;
  readonly value: unknown;
  readonly line: number;
}

/** A setting that the file makes in vain. */
export interface IgnoredKey {
  readonly key: string;
  readonly line: number;
}

export interface FileEntries {
  readonly entries: readonly Entry[];
  /** Settings of Kata's that mukon does not have. */
  readonly ignored: readonly IgnoredKey[];
  readonly warnings: readonly string[];
}

const KNOWN_KEYS: readonly string[] = [...SETTINGS_BY_KEY.keys()];
const KATA_ONLY: ReadonlySet<string> = new Set(
  Object.entries(KATA_ONLY_KEYS).flatMap(([table, keys]) => keys.map((key) => `${table}.${key}`)),
);
/** `hypervisor`, `hypervisor.qemu`, …: names whose values must be tables. */
const TABLES: ReadonlySet<string> = new Set(
  SETTINGS.flatMap(({ section }) =>
    section.name.split(".").map((_, index, parts) => parts.slice(0, index + 1).join(".")),
  ),
);

/**
 * Takes a parsed file apart into checked settings.
 *
 * @throws MukonError CONFIG_VALUE with file, line and the accepted values; CONFIG_UNSUPPORTED
 */
export function readEntries(file: TomlFile): FileEntries {
  const entries: Entry[] = [];
  const ignored: IgnoredKey[] = [];
  const warnings: string[] = [];
  const walk = (table: Readonly<Record<string, unknown>>, prefix: string): void => {
    for (const [name, value] of Object.entries(table)) {
      const key = `${prefix}${name}`;
      const setting = SETTINGS_BY_KEY.get(key);
      const line = lineOf(file, key);
      if (setting !== undefined) entries.push(checkedEntry({ setting, value, line }, file.path));
      else if (isKataOnly(key)) {
        if (asksForNothing(key, value)) continue;
        const missing = REFUSED_KEYS[key];
        if (missing !== undefined) throw unsupported(`${file.path}:${line}`, key, missing);
        ignored.push({ key, line });
      } else if (isTable(value)) walk(value, `${key}.`);
      else if (TABLES.has(key)) throw notATable(`${file.path}:${line}`, key);
      else warnings.push(unknownWarning(file.path, line, key));
    }
  };
  walk(file.root, "");
  return { entries, ignored, warnings };
}

function checkedEntry(entry: Entry, path: string): Entry {
  const { kind } = entry.setting.definition;
  const result = v.safeParse(kind.schema, entry.value);
  if (result.success) return { ...entry, value: result.output };
  throw new MukonError(
    "CONFIG_VALUE",
    `${path}:${entry.line}: ${entry.setting.dottedKey} is ${describeValue(entry.value)}, but must be ${kind.accepts}.`,
    {
      hint: "Correct the value, or remove the line to use the default.",
      details: { file: path, line: entry.line, key: entry.setting.dottedKey },
    },
  );
}

function notATable(place: string, key: string): MukonError {
  return new MukonError("CONFIG_VALUE", `${place}: ${key} is a value, but must be a table.`, {
    hint: `Write its settings below a line [${key}].`,
  });
}

function unsupported(place: string, key: string, missing: string): MukonError {
  return new MukonError(
    "CONFIG_UNSUPPORTED",
    `${place}: ${key} asks for ${missing}, which mukon does not have.`,
    { hint: "Remove the line if pods may run without; else run them with Kata." },
  );
}

function unknownWarning(path: string, line: number, key: string): string {
  const nearest = nearestKey(key, KNOWN_KEYS);
  const question = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
  return `${path}:${line}: unknown setting ${printable(key)}.${question}`;
}

/** Kata's own files spell out dozens of settings that ask for nothing. */
function asksForNothing(key: string, value: unknown): boolean {
  if (ASKED_BY_FALSE.includes(key)) return value === true;
  return (
    [false, 0, "", "no-port"].some((off) => off === value) ||
    (Array.isArray(value) && value.length === 0)
  );
}

function isKataOnly(key: string): boolean {
  return KATA_ONLY.has(key) || KATA_ONLY_SECTIONS.includes(key);
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    [Object.prototype, null].includes(Object.getPrototypeOf(value))
  );
}

/** A key that the scanner missed is shown at its table's line, which is better than none. */
function lineOf(file: TomlFile, key: string): number {
  for (let name = key; name !== ""; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
    const line = file.lines.get(name);
    if (line !== undefined) return line;
  }
  return 1;
}
