// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ERROR_AREAS } from "../../../src/errors/codes.ts";
import { renderErrorsPage } from "../../../src/errors/page.ts";

const repository = join(import.meta.dirname, "..", "..", "..");
const known = new Set(Object.values(ERROR_AREAS).flatMap((codes) => Object.keys(codes)));

test("docs/errors.md is made from today's codes", () => {
  const page = readFileSync(join(repository, "docs", "errors.md"), "utf8");
  assert.equal(page, renderErrorsPage(), "run: npm run docs");
});

test("no code has two meanings", () => {
  const all = Object.values(ERROR_AREAS).flatMap((codes) => Object.keys(codes));
  assert.deepEqual(
    all.filter((code, index) => all.indexOf(code) !== index),
    [],
  );
});

test("every code that is thrown has a meaning", () => {
  const thrown = ["src", "guest/image"].flatMap(sources).flatMap((file) => {
    const text = readFileSync(file, "utf8");
    const pattern = /new (?:MukonError|TtrpcError)\(\s*"([A-Z][A-Z0-9_]+)"/g;
    return [...text.matchAll(pattern)].map((match) => ({ code: match[1] ?? "", file }));
  });
  assert.ok(thrown.length > 50);
  for (const { code, file } of thrown) assert.ok(known.has(code), `${code} (${file})`);
});

function sources(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true })
    .map((name) => join(repository, folder, String(name)))
    .filter((name) => name.endsWith(".ts"));
}
