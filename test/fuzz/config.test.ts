// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse, stringify } from "smol-toml";
import { applyAnnotations } from "../../src/config/annotations/apply.ts";
import { matchesGlob } from "../../src/config/annotations/globs.ts";
import { KNOWN_ANNOTATIONS, ROOTLESS_ANNOTATIONS } from "../../src/config/annotations/names.ts";
import { readEntries } from "../../src/config/file/entries.ts";
import { locateKeys } from "../../src/config/file/locate.ts";
import { parseToml } from "../../src/config/file/read.ts";
import { SETTINGS } from "../../src/config/keys/registry.ts";
import { loadedDefaults } from "../../src/config/load.ts";
import { renderToml } from "../../src/config/show.ts";
import { MukonError } from "../../src/errors/mukon-error.ts";

/** Runs `act`; of all errors only ours, with one of these codes, may come out. */
function onlyFailsWith<T>(codes: readonly string[], act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    assert.ok(error instanceof MukonError, String(error));
    assert.ok(codes.includes(error.code), error.code);
    return undefined;
  }
}

const bareKey = fc.stringMatching(/^[a-z_]{1,8}$/);
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.string(), { maxLength: 3 }),
);
const { node: document } = fc.letrec<{ node: Record<string, unknown> }>((tie) => ({
  node: fc.dictionary(bareKey, fc.oneof({ depthSize: "small" }, leaf, tie("node")), { maxKeys: 5 }),
}));
const tomlLike = fc
  .array(
    fc.constantFrom(
      ...["[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\r\n", '"', "'", '"""', "'''"],
      ...["\\", "#", " ", "a", "hypervisor", "qemu", "rootless", "true", "1", "__proto__"],
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));

test("any text is read or refused as what it is, and the scan for lines ends", () => {
  fc.assert(
    fc.property(fc.oneof(tomlLike, fc.string({ unit: "binary", maxLength: 200 })), (text) => {
      locateKeys(text);
      onlyFailsWith(["CONFIG_SYNTAX", "CONFIG_VALUE"], () => readEntries(parseToml("f", text)));
    }),
    { numRuns: 2000 },
  );
});

test("every key of every document has the line that holds it", () => {
  fc.assert(
    fc.property(
      document,
      fc.array(fc.constantFrom("", "# c", "# x = 1"), { maxLength: 3 }),
      (value, head) => {
        const text = [...head, stringify(value)].join("\n");
        const lines = locateKeys(text);
        const rows = text.split("\n");
        const walk = (table: object, prefix: string): void => {
          for (const [name, child] of Object.entries(table)) {
            const isTable = typeof child === "object" && child !== null && !Array.isArray(child);
            if (isTable) walk(child, `${prefix}${name}.`);
            else
              assert.match(
                rows[(lines.get(`${prefix}${name}`) ?? 0) - 1] ?? "",
                new RegExp(`^${name} = `),
              );
          }
        };
        walk(parse(text), "");
      },
    ),
  );
});

test("a setting holds what its kind accepts, or the file is refused with its line", () => {
  fc.assert(
    fc.property(fc.constantFrom(...SETTINGS), leaf, (setting, value) => {
      const text = `\n[${setting.section.name}]\n\n${stringify({ [setting.tomlName]: value })}`;
      try {
        const { entries } = readEntries(parseToml("f.toml", text));
        assert.deepEqual(
          entries.map(({ line }) => line),
          [4],
        );
      } catch (error) {
        assert.ok(error instanceof MukonError && error.code === "CONFIG_VALUE");
        assert.ok(error.message.startsWith("f.toml:4: "), error.message);
        assert.ok(error.message.includes(setting.definition.kind.accepts));
      }
    }),
  );
});

const anyName = fc.oneof(
  fc.constantFrom(...KNOWN_ANNOTATIONS, ...ROOTLESS_ANNOTATIONS, "__proto__", "constructor"),
  fc.string().map((rest) => `io.katacontainers.config.hypervisor.${rest}`),
  fc.string(),
);
const anyValue = fc.oneof(
  fc.constantFrom("true", "false", "0", "512", "/etc/shadow", "/usr/bin/qemu-system-x86_64"),
  fc.string({ unit: "binary", maxLength: 100 }),
);
const ANNOTATION_CODES = ["ANNOTATION_NOT_ENABLED", "ANNOTATION_VALUE", "ANNOTATION_PATH"];

test("no annotations make a shipped configuration less strict", () => {
  const shipped = loadedDefaults();
  const open = ["kernel_params", "default_vcpus", "default_memory"];
  fc.assert(
    fc.property(fc.dictionary(anyName, anyValue, { maxKeys: 4 }), (annotations) => {
      const applied = onlyFailsWith(ANNOTATION_CODES, () => applyAnnotations(shipped, annotations));
      if (applied === undefined) return;
      const { qemu } = applied.configuration.hypervisor;
      assert.equal(qemu.rootless, true);
      for (const { section, tomlName, name } of SETTINGS) {
        if (section.name !== "hypervisor.qemu" || open.includes(tomlName)) continue;
        const before = Reflect.get(shipped.configuration.hypervisor.qemu, name);
        assert.deepEqual(Reflect.get(qemu, name), before, tomlName);
      }
      assert.ok(Number.isInteger(qemu.defaultVcpus) && qemu.defaultVcpus >= 1);
      assert.match(qemu.kernelParams, /^[\x20-\x7e]{0,1536}$/);
    }),
    { numRuns: 500 },
  );
});

test("whatever annotations change, the result could have stood in a file", () => {
  const defaults = loadedDefaults();
  const qemu = { ...defaults.configuration.hypervisor.qemu, enableAnnotations: [".*"] };
  const configuration = { ...defaults.configuration, hypervisor: { qemu } };
  const open = { ...defaults, configuration };
  fc.assert(
    fc.property(fc.constantFrom(...KNOWN_ANNOTATIONS), anyValue, (name, value) => {
      const applied = onlyFailsWith(ANNOTATION_CODES, () =>
        applyAnnotations(open, { [name]: value }),
      );
      if (applied === undefined) return;
      const { entries } = readEntries(parseToml("f", renderToml(applied.configuration)));
      assert.equal(entries.length, SETTINGS.length);
      assert.ok(!applied.configuration.hypervisor.qemu.image.includes("shadow"));
    }),
    { numRuns: 500 },
  );
});

test("a glob of plain text matches itself alone", () => {
  const path = fc.stringMatching(/^(\/[a-z]{1,4}){1,4}$/);
  fc.assert(
    fc.property(path, path, (one, other) => {
      assert.equal(matchesGlob(one, other), one === other);
      assert.ok(matchesGlob(one, one.replace(/[a-z]+$/, "*")));
    }),
  );
});
