// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { mukon, type Outcome } from "../../support/mukon.ts";
import { folderWith } from "../../unit/config/helpers.ts";

const KEY = "hypervisor.qemu.rootless";
const BOTH_SPELLINGS = [
  "io.katacontainers.config.hypervisor.rootless",
  "io.katacontainers.hypervisor.rootless",
];

/** What `mukon config show --json` says of one setting. */
interface Shown {
  key: string;
  value: unknown;
  originText: string;
}

const noFile = { MUKON_CONFIG: "", KATA_CONF_FILE: "" };

async function settingOf(
  key: string,
  args: string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Shown> {
  const result = await mukon(["config", "show", "--json", ...args], { env: { ...noFile, ...env } });
  assert.equal(result.code, 0, result.stderr);
  const found = (JSON.parse(result.stdout) as Shown[]).find((setting) => setting.key === key);
  assert.ok(found, `${key} is not shown`);
  return found;
}

function show(path: string): Promise<Outcome> {
  return mukon(["config", "show", "--config", path], { env: noFile });
}

test("every setting has a line, and with --origin the file and line that it came from", async (t) => {
  const folder = folderWith(t, {
    "c.toml": "# mine\n[hypervisor.qemu]\nrootless = true\ndefault_memory = 777\n",
    "config.d/10-more.toml": "[hypervisor.qemu]\ndefault_memory = 888\n",
  });
  const path = join(folder, "c.toml");
  const plain = await show(path);
  assert.match(plain.stdout, /^hypervisor\.qemu\.default_memory = 888$/m);
  const { stdout } = await mukon(["config", "show", "--origin", "--config", path]);
  assert.match(stdout, new RegExp(`^${KEY} = true {2}# ${path}:3$`, "m"));
  const dropIn = `${folder}/config.d/10-more.toml:2 \\(drop-in\\)`;
  assert.match(stdout, new RegExp(`default_memory = 888 {2}# ${dropIn}$`, "m"));
  assert.match(stdout, /^hypervisor\.qemu\.path = "\/.+" {2}# default$/m);
});

test("--config wins over MUKON_CONFIG, which wins over Kata's variable", async (t) => {
  const memory = (mib: number): string => `[hypervisor.qemu]\ndefault_memory = ${mib}\n`;
  const files = { "a/1.toml": memory(501), "b/2.toml": memory(502), "c/3.toml": memory(503) };
  const folder = folderWith(t, files);
  const [one, two, three] = Object.keys(files).map((name) => join(folder, name));
  const key = "hypervisor.qemu.default_memory";
  const both = { MUKON_CONFIG: two, KATA_CONF_FILE: three };
  assert.equal((await settingOf(key, ["--config", one ?? ""], both)).value, 501);
  assert.equal((await settingOf(key, [], both)).value, 502);
  assert.equal((await settingOf(key, [], { KATA_CONF_FILE: three })).value, 503);
});

test("both spellings of the rootless annotation override the file, and are named as origin", async (t) => {
  const folder = folderWith(t, { "c.toml": "[hypervisor.qemu]\nrootless = false\n" });
  const config = ["--config", join(folder, "c.toml")];
  assert.equal((await settingOf(KEY, config)).value, false);
  for (const annotation of BOTH_SPELLINGS) {
    const shown = await settingOf(KEY, [...config, "--annotation", `${annotation}=true`]);
    assert.equal(shown.value, true);
    assert.equal(shown.originText, `annotation ${annotation}`);
  }
});

test("a pod may not switch rootless off unless the administrator lets it", async (t) => {
  const enabled = '[hypervisor.qemu]\nrootless = true\nenable_annotations = ["rootless"]\n';
  const folder = folderWith(t, { "c.toml": enabled });
  for (const annotation of BOTH_SPELLINGS) {
    const off = ["--annotation", `${annotation}=false`];
    const refused = await mukon(["config", "show", ...off], { env: noFile });
    assert.equal(refused.code, 125, refused.stdout);
    assert.match(refused.stderr, /is not enabled.*\[ANNOTATION_NOT_ENABLED\]\n {2}hint: .+/);
    const config = ["--config", join(folder, "c.toml")];
    assert.equal((await settingOf(KEY, [...config, ...off])).value, false);
  }
});

test("a VMM that will run as root is warned about, with the line that says so", async (t) => {
  const folder = folderWith(t, { "c.toml": "[hypervisor.qemu]\n\nrootless = false\n" });
  const { code, stderr } = await show(join(folder, "c.toml"));
  assert.equal(code, 0);
  assert.match(stderr, /^warning: .*\/c\.toml:3: rootless is false, so VMMs run as root/m);
});

test("an unknown key is warned about, with the nearest one; the rest is in force", async (t) => {
  const text =
    "[hypervisor.qemu]\nrootles = false\ndefault_memory = 600\n[runtime]\nrootless = 1\n";
  const path = join(folderWith(t, { "c.toml": text }), "c.toml");
  const { code, stdout, stderr } = await show(path);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^warning: .*c\.toml:2: unknown setting hypervisor\.qemu\.rootles\./m);
  assert.match(stderr, /c\.toml:2: .*Did you mean hypervisor\.qemu\.rootless\?/);
  assert.match(stderr, /c\.toml:5: .*Did you mean hypervisor\.qemu\.rootless\?/);
  assert.match(stdout, /rootless = true$/m);
  assert.match(stdout, /default_memory = 600$/m);
});

test("mukon run says the same warnings, before it looks for the image", async (t) => {
  const path = join(folderWith(t, { "c.toml": "[runtime]\nenable_debugg = true\n" }), "c.toml");
  const { code, stderr } = await mukon(["run", "--config", path, "oci:/none"], { env: noFile });
  assert.equal(code, 125);
  assert.match(stderr, /^warning: .*c\.toml:2: .*Did you mean runtime\.enable_debug\?\n/);
  assert.match(stderr, /\[IMAGE_NOT_FOUND\]/);
});

test("wrong types, values and syntax fail with file, line and what is accepted", async (t) => {
  const cases: [string, string, RegExp][] = [
    ['[hypervisor.qemu]\nrootless = "yes"\n', "CONFIG_VALUE", /c\.toml:2: .*"yes".*true or false/],
    ["[hypervisor.qemu]\n\ndefault_memory = -5\n", "CONFIG_VALUE", /c\.toml:3: .*-5/],
    [
      '[mukon]\nidentity_backend = "x"\n',
      "CONFIG_VALUE",
      /c\.toml:2: .*"x".*user-records.*useradd/,
    ],
    ["[hypervisor.qemu]\nrootless true\n", "CONFIG_SYNTAX", /c\.toml:2/],
    ["hypervisor = 5\n", "CONFIG_VALUE", /c\.toml:1: .*must be a table/],
  ];
  for (const [text, code, message] of cases) {
    const path = join(folderWith(t, { "c.toml": text }), "c.toml");
    const result = await show(path);
    assert.equal(result.code, 125, text);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, message);
    assert.match(result.stderr, new RegExp(`\\[${code}\\]\n {2}hint: .+`));
  }
});

test("a file that was named but is not there is an error, whoever named it", async () => {
  for (const env of [{ MUKON_CONFIG: "/nowhere/c.toml" }, { KATA_CONF_FILE: "/nowhere/c.toml" }]) {
    const result = await mukon(["config", "show"], { env: { ...noFile, ...env } });
    assert.equal(result.code, 125);
    const [name] = Object.keys(env);
    assert.match(result.stderr, new RegExp(`/nowhere/c\\.toml \\(named by ${name}\\)`));
  }
});
