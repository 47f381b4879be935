// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { applyAnnotations } from "../../../src/config/annotations/apply.ts";
import { SETTINGS, SETTINGS_BY_KEY, type Setting } from "../../../src/config/keys/registry.ts";
import { formatTomlValue } from "../../../src/config/show.ts";
import { ERROR_AREAS } from "../../../src/errors/codes.ts";
import { MukonError } from "../../../src/errors/mukon-error.ts";
import { load } from "./helpers.ts";
import { KATA_COMMENTED } from "./kata-known.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
/** Names that other things have too. */
const SHARED_NAMES: readonly string[] = ["enableDebug", "kernelModules", "rootfsType"];
/** Of the environment, not codes. */
const VARIABLES: readonly string[] = ["MUKON_TEST_CLONES"];
/** As a reader finds them: table of the file (or "annotations"), name, what the table says. */
const ROWS = readRows();

test("each setting that mukon has is in the table, and none is called supported that it lacks", () => {
  for (const { section, tomlName } of SETTINGS) {
    assert.equal(rowsOf(section.name, tomlName).length, 1, `${section.name}.${tomlName}`);
  }
  for (const { table, name, support } of ROWS) {
    if (table === "annotations" || !["yes", "mukon's own"].includes(support)) continue;
    const definition = SETTINGS_BY_KEY.get(`${table}.${name}`)?.definition;
    assert.equal(definition?.effect, "active", `${table}.${name} is called ${support}`);
  }
});

test("each setting of Kata's files is in the table", () => {
  for (const [table, keys] of Object.entries(KATA_COMMENTED)) {
    for (const key of keys) assert.equal(rowsOf(table, key).length, 1, `${table}.${key}`);
  }
});

test("what the table says of a setting is what happens to it", async (t) => {
  for (const { table, name, support } of ROWS) {
    if (table === "annotations") continue;
    const setting = SETTINGS_BY_KEY.get(`${table}.${name}`);
    // What these mean when false is what they ask for.
    const value = /^disable_(guest_)?selinux$/.test(name) ? false : askingValue(setting);
    const text = `[${table}]\n${name} = ${formatTomlValue(value)}\n`;
    assert.equal(await happened(() => load(t, text), name), effectOf(support), `${table}.${name}`);
  }
});

test("what the table says of an annotation is what happens to it", async (t) => {
  const loaded = await load(t, '[hypervisor.qemu]\nenable_annotations = [".*"]\n');
  for (const { table, name, support } of ROWS) {
    if (table !== "annotations") continue;
    const setting = SETTINGS.find((one) => name.endsWith(`.${one.tomlName}`));
    const value = String(setting?.definition.default ?? "1").split(",")[0] ?? "";
    const outcome = await happened(() => applyAnnotations(loaded, { [name]: value }), name);
    assert.equal(outcome, effectOf(support), name);
  }
});

test("a setting that is called supported is read somewhere, one without effect nowhere", () => {
  const source = sources(join(ROOT, "src"))
    .filter((path) => !/\/src\/(config\/keys|generated)\//.test(path))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
  for (const { name, definition, dottedKey, tomlName } of SETTINGS) {
    // Read by name, or as the list of patterns of an annotation; what has one value only needs neither.
    const isList = SETTINGS.some((one) => one.definition.annotation?.globs === tomlName);
    const hasChoice = !/^one of "[^"]*"$/.test(definition.kind.accepts);
    const isRead = new RegExp(`\\b${name}\\b`).test(source);
    const isActive = definition.effect === "active";
    if (isActive) assert.ok(isRead || isList || !hasChoice, `${dottedKey} is read nowhere`);
    else if (!SHARED_NAMES.includes(name)) assert.ok(!isRead, `${dottedKey} has an effect`);
  }
});

test("tests and error codes that docs/compatibility.md and docs/kubernetes.md name are there", () => {
  const codes = new Set(Object.values(ERROR_AREAS).flatMap((area) => Object.keys(area)));
  for (const name of ["compatibility.md", "kubernetes.md"]) {
    const page = readFileSync(join(ROOT, "docs", name), "utf8");
    for (const [, path = ""] of page.matchAll(/`(test\/[a-z0-9/.-]+)`/g)) {
      assert.ok(existsSync(join(ROOT, path)), `${name}: ${path}`);
    }
    for (const [, code = ""] of page.matchAll(/`([A-Z]+_[A-Z_]+)`/g)) {
      assert.ok(codes.has(code) || VARIABLES.includes(code), `${name}: ${code}`);
    }
  }
});

interface Row {
  table: string;
  name: string;
  support: string;
}

function rowsOf(table: string, name: string): Row[] {
  return ROWS.filter((row) => row.table === table && row.name === name);
}

function readRows(): Row[] {
  const page = readFileSync(join(ROOT, "docs", "compatibility.md"), "utf8");
  const rows: Row[] = [];
  let table = "";
  for (const line of page.split("\n")) {
    const heading = /^### (?:\[(.+)\]|(Annotations))$/.exec(line);
    if (heading !== null) table = heading[1] ?? "annotations";
    const row = /^\| `([^`]+)` \| (yes|no effect|refused|mukon's own) \|/.exec(line);
    if (row?.[1] !== undefined && row[2] !== undefined && table !== "") {
      rows.push({ table, name: row[1], support: row[2] });
    }
  }
  assert.ok(rows.length > 200, "the tables are there");
  return rows;
}

/** A value that asks for something other than the default. */
function askingValue(setting: Setting | undefined): unknown {
  if (setting === undefined) return "asked for";
  const { default: initial, kind } = setting.definition;
  if (setting.definition.effect === "active") return initial;
  if (typeof initial === "boolean") return !initial;
  if (typeof initial === "number") return initial + 1;
  if (Array.isArray(initial)) return [kind.accepts.includes("path") ? "/asked" : "asked"];
  const other = [...kind.accepts.matchAll(/"([^"]*)"/g)].map(([, one]) => one);
  return other.find((one) => one !== initial && one !== "") ?? "/asked";
}

function effectOf(support: string): string {
  return support === "mukon's own" ? "yes" : support;
}

async function happened(
  act: () => { warnings: readonly string[] } | Promise<{ warnings: readonly string[] }>,
  name: string,
): Promise<string> {
  try {
    const { warnings } = await act();
    const about = warnings.filter((warning) => warning.includes(name));
    return about.some((warning) => /(without|no) effect/.test(warning)) ? "no effect" : "yes";
  } catch (error) {
    if (error instanceof MukonError && error.code.endsWith("_UNSUPPORTED")) return "refused";
    throw error;
  }
}

function sources(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && one.name.endsWith(".ts"))
    .map((one) => join(one.parentPath, one.name));
}
