// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { withKataTables } from "../../../src/config/documentation/kata-table.ts";
import { renderConfigurationPage } from "../../../src/config/documentation/page.ts";
import { renderShippedFile } from "../../../src/config/documentation/shipped-file.ts";
import { KATA_ONLY_KEYS } from "../../../src/config/keys/kata-only.ts";
import { SETTINGS, SETTINGS_BY_KEY } from "../../../src/config/keys/registry.ts";
import { describeConfiguration, renderToml } from "../../../src/config/show.ts";
import { load, loadFrom } from "./helpers.ts";

const read = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), "utf8");
const REMEDY = "run: node --import tsx scripts/generate-configuration-docs.ts";

test("docs/configuration.md is what the settings say", () => {
  assert.equal(read("docs/configuration.md"), renderConfigurationPage(), REMEDY);
});

test("config/configuration.toml is what the settings say", () => {
  assert.equal(read("config/configuration.toml"), renderShippedFile(), REMEDY);
});

test("the tables of Kata's settings in docs/compatibility.md are what the settings say", () => {
  const page = read("docs/compatibility.md");
  assert.equal(page, withKataTables(page), REMEDY);
});

test("the shipped file is rootless and otherwise the defaults, commented lines too", async (t) => {
  const defaults = await loadFrom({});
  const shipped = renderShippedFile();
  const loaded = await load(t, shipped);
  assert.equal(loaded.configuration.hypervisor.qemu.rootless, true);
  assert.equal(loaded.origins.get("hypervisor.qemu.rootless")?.kind, "file");
  const uncommented = await load(t, shipped.replace(/^# (?=[a-z_]+ = )/gm, ""));
  for (const one of [loaded, uncommented]) {
    assert.deepEqual(one.configuration, defaults.configuration);
    assert.deepEqual(one.warnings, []);
  }
});

test("every default is a value its own setting accepts", async (t) => {
  const defaults = await loadFrom({});
  const loaded = await load(t, renderToml(defaults.configuration));
  assert.deepEqual(loaded.configuration, defaults.configuration);
  assert.deepEqual(loaded.warnings, []);
});

test("no setting is both known and without effect, and every pattern list exists", () => {
  for (const [table, keys] of Object.entries(KATA_ONLY_KEYS)) {
    for (const key of keys) assert.ok(!SETTINGS_BY_KEY.has(`${table}.${key}`), `${table}.${key}`);
  }
  for (const { section, definition } of SETTINGS) {
    const list = definition.annotation?.globs;
    if (list !== undefined) assert.ok(SETTINGS_BY_KEY.has(`${section.name}.${list}`), list);
  }
});

test("each setting in force is shown with where it came from", async (t) => {
  const shown = describeConfiguration(await load(t, "[hypervisor.qemu]\nrootless = false\n"));
  const rootless = shown.find(({ key }) => key === "hypervisor.qemu.rootless");
  assert.equal(rootless?.toml, "false");
  assert.match(rootless?.originText ?? "", /configuration\.toml:2$/);
  assert.equal(shown.find(({ key }) => key === "runtime.enable_debug")?.originText, "default");
  assert.equal(shown.length, SETTINGS.length);
});
