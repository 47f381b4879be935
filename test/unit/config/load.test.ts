// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fails, folderWith, load, loadFrom } from "./helpers.ts";

test("without any file the VMM is rootless and every origin is default", async () => {
  const loaded = await loadFrom({});
  assert.equal(loaded.configuration.hypervisor.qemu.rootless, true);
  assert.ok([...loaded.origins.values()].every(({ kind }) => kind === "default"));
  assert.deepEqual(loaded.files, []);
});

test("values come with the file and line they were set on", async (t) => {
  const loaded = await load(
    t,
    "# head\n[hypervisor.qemu]\nrootless = false\n\ndefault_memory = 512\n",
  );
  const { qemu } = loaded.configuration.hypervisor;
  assert.equal(qemu.rootless, false);
  assert.equal(qemu.defaultMemory, 512);
  const origin = loaded.origins.get("hypervisor.qemu.default_memory");
  assert.equal(origin?.kind, "file");
  assert.equal(origin?.line, 5);
  assert.ok(origin?.file?.endsWith("/configuration.toml"));
  assert.equal(loaded.warnings.length, 1);
  assert.match(
    loaded.warnings[0] ?? "",
    /configuration\.toml:3: rootless is false, so VMMs run as root/,
  );
});

test("the path given wins over the environment, MUKON_CONFIG over Kata's, that over /etc", async (t) => {
  const folder = folderWith(t, {
    "given.toml": "[hypervisor.qemu]\ndefault_memory = 201",
    "mukon.toml": "[hypervisor.qemu]\ndefault_memory = 202",
    "kata.toml": "[hypervisor.qemu]\ndefault_memory = 203",
    "etc.toml": "[hypervisor.qemu]\ndefault_memory = 204",
    "usr.toml": "[hypervisor.qemu]\ndefault_memory = 205",
  });
  const at = (name: string) => join(folder, name);
  const both = { MUKON_CONFIG: at("mukon.toml"), KATA_CONF_FILE: at("kata.toml") };
  const defaultPaths = [at("etc.toml"), at("usr.toml")];
  const memory = async (options: object) =>
    (await loadFrom({ defaultPaths, ...options })).configuration.hypervisor.qemu.defaultMemory;
  assert.equal(await memory({ path: at("given.toml"), env: both }), 201);
  assert.equal(await memory({ env: both }), 202);
  assert.equal(await memory({ env: { KATA_CONF_FILE: at("kata.toml") } }), 203);
  assert.equal(await memory({}), 204);
  assert.equal(await memory({ defaultPaths: [at("none.toml"), at("usr.toml")] }), 205);
});

test("a text wins over the files that are looked for, and is told apart from them", async (t) => {
  const folder = folderWith(t, { "etc.toml": "[hypervisor.qemu]\ndefault_memory = 204" });
  const defaultPaths = [join(folder, "etc.toml")];
  const text = "[hypervisor.qemu]\ndefault_vcpus = 2\n";
  const loaded = await loadFrom({ defaultPaths, text });
  const { qemu } = loaded.configuration.hypervisor;
  assert.deepEqual([qemu.defaultVcpus, qemu.defaultMemory], [2, 2048]);
  const origin = loaded.origins.get("hypervisor.qemu.default_vcpus");
  assert.deepEqual([origin?.file, origin?.line], ["(runtime options)", 2]);
  const named = await loadFrom({ path: defaultPaths[0], text });
  assert.equal(named.configuration.hypervisor.qemu.defaultMemory, 204);
  await assert.rejects(
    loadFrom({ text: "[hypervisor.qemu]\ndefault_vcpus = x" }),
    fails("CONFIG_SYNTAX", "(runtime options):2"),
  );
});

test("a file that is named but missing is an error, not a fall-back to looser settings", async () => {
  await assert.rejects(
    loadFrom({ path: "/nonexistent/a.toml" }),
    fails("CONFIG_NOT_FOUND", "/nonexistent/a.toml"),
  );
  const env = { MUKON_CONFIG: "/nonexistent/b.toml" };
  await assert.rejects(loadFrom({ env }), fails("CONFIG_NOT_FOUND", "MUKON_CONFIG"));
});

test("drop-ins beside the resolved file win key by key, in the order of their names", async (t) => {
  const folder = folderWith(t, {
    "real/configuration.toml": "[hypervisor.qemu]\ndefault_memory = 256\ndefault_vcpus = 2\n",
    "real/config.d/20-b.toml": "\n[hypervisor.qemu]\ndefault_memory = 300\n",
    "real/config.d/10-a.toml": "[hypervisor.qemu]\ndefault_memory = 400\nrootless = false\n",
    "real/config.d/.hidden": "not TOML at all",
  });
  symlinkSync(join(folder, "real/configuration.toml"), join(folder, "link.toml"));
  const loaded = await loadFrom({ path: join(folder, "link.toml") });
  const { qemu } = loaded.configuration.hypervisor;
  assert.deepEqual([qemu.defaultMemory, qemu.defaultVcpus, qemu.rootless], [300, 2, false]);
  const origin = loaded.origins.get("hypervisor.qemu.default_memory");
  assert.equal(origin?.kind, "drop-in");
  assert.equal(origin?.line, 3);
  assert.match(origin?.file ?? "", /20-b\.toml$/);
  assert.equal(loaded.files.length, 3);
});

test("wrong types and values name file, line and what is accepted", async (t) => {
  const wrong: [string, string, string][] = [
    ["[hypervisor.qemu]\nrootless = 'yes'", ":2:", "true or false"],
    ["[hypervisor.qemu]\n\n\ndefault_memory = 64", ":4:", "128"],
    ["[hypervisor.qemu]\ndefault_memory = 1.5", ":2:", "whole number"],
    ["[hypervisor.qemu]\npath = '../qemu'", ":2:", "absolute path"],
    ["[hypervisor.qemu]\npath = '/usr/../qemu'", ":2:", "absolute path"],
    ["[hypervisor.qemu]\nmachine_type = 'microvm'", ":2:", '"q35"'],
    ["[hypervisor.qemu]\nseccompsandbox = 'off'", ":2:", '"on"'],
    ["[hypervisor.qemu]\nenable_annotations = ['(']", ":2:", "regular expressions"],
    ["[hypervisor.qemu]\ncpu_features = 'a b'", ":2:", "-cpu"],
    ["[hypervisor.qemu.rootless]\nx = 1", ":1:", "true or false"],
    ["[[hypervisor.qemu]]\nx = 1", ":1:", "must be a table"],
    ["hypervisor = 1", ":1:", "must be a table"],
    [
      "[hypervisor.qemu]\nenable_annotations = [18446744073709551615]",
      ":2:",
      "regular expressions",
    ],
    ["[runtime]\ncreate_container_timeout = 18446744073709551615", ":2:", "whole number"],
    ["[mukon]\nuser_prefix = 'Kata'", ":2:", "a-z"],
  ];
  for (const [text, line, accepted] of wrong) {
    await assert.rejects(
      load(t, text),
      fails("CONFIG_VALUE", `configuration.toml${line}`, accepted),
      text,
    );
  }
});

test("broken TOML names file, line and column", async (t) => {
  await assert.rejects(
    load(t, "[runtime]\nenable_debug = = 1"),
    fails("CONFIG_SYNTAX", "configuration.toml:2:"),
  );
});

test("an id range that is empty or not aligned is refused", async (t) => {
  await assert.rejects(
    load(t, "[mukon]\nid_range_start = 0x70000000\nid_range_end = 0x60000000"),
    fails("CONFIG_CONFLICT", "configuration.toml:3", "greater"),
  );
  await assert.rejects(
    load(t, "[mukon]\nid_range_start = 65537"),
    fails("CONFIG_CONFLICT", "65536"),
  );
  await assert.rejects(load(t, "[mukon]\nid_range_start = 0"), fails("CONFIG_VALUE", "65536"));
});

test("a file that anyone may write to is refused", async (t) => {
  const folder = folderWith(t, { "configuration.toml": "" });
  chmodSync(join(folder, "configuration.toml"), 0o666);
  await assert.rejects(
    loadFrom({ path: join(folder, "configuration.toml") }),
    fails("CONFIG_UNSAFE"),
  );
});

test("folders, endless and huge files are refused", async (t) => {
  const folder = folderWith(t, { "big.toml": "#".repeat(1024 * 1024 + 1) });
  mkdirSync(join(folder, "folder.toml"));
  await assert.rejects(loadFrom({ path: join(folder, "folder.toml") }), fails("CONFIG_UNREADABLE"));
  await assert.rejects(loadFrom({ path: "/dev/zero" }), fails("CONFIG_UNREADABLE"));
  await assert.rejects(loadFrom({ path: join(folder, "big.toml") }), fails("CONFIG_TOO_LARGE"));
});

test("an empty sandbox setting means the strictest filter, not none", async (t) => {
  const loaded = await load(t, "[hypervisor.qemu]\nseccomp_sandbox = ''");
  assert.match(loaded.configuration.hypervisor.qemu.seccompsandbox, /^on,.*elevateprivileges=deny/);
});

test("the configuration cannot be changed by who holds it", async () => {
  const { configuration } = await loadFrom({});
  assert.ok(Object.isFrozen(configuration.hypervisor.qemu));
  assert.ok(Object.isFrozen(configuration.hypervisor.qemu.enableAnnotations));
});
