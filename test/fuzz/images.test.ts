// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MukonError } from "../../src/errors/mukon-error.ts";
import { lookUpUser, parseAccounts } from "../../src/images/accounts.ts";
import { parseImageConfig } from "../../src/images/configuration.ts";
import { parseReference } from "../../src/images/reference.ts";

/** The result, or undefined for a refusal; anything but a refusal of ours is a bug. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    assert.ok(error instanceof MukonError, String(error));
    return undefined;
  }
}

test("a reference in full means itself", () => {
  const word = fc.string({ unit: fc.constantFrom(..."aB0.:/@-_[]\n \0 "), maxLength: 40 });
  const text = fc.oneof(
    fc.string(),
    word,
    word.map((tail) => `oci:/${tail}`),
  );
  fc.assert(
    fc.property(text, (input) => {
      const reference = attempt(() => parseReference(input));
      if (reference === undefined) return;
      assert.deepEqual(parseReference(reference.text), reference);
      assert.doesNotMatch(reference.text, /^-|[\0\n]/);
    }),
  );
});

test("an image config is read within its bounds, or refused", () => {
  const texts = fc.oneof(fc.array(fc.string()), fc.jsonValue());
  const config = fc.record({
    config: fc.oneof(
      fc.record({ Cmd: texts, Env: texts, User: fc.jsonValue(), WorkingDir: fc.string() }),
      fc.jsonValue(),
    ),
    created: fc.jsonValue(),
    rootfs: fc.constant({ type: "layers", diff_ids: [] }),
  });
  fc.assert(
    fc.property(
      fc.oneof(
        config.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (json) => {
        const parsed = attempt(() => parseImageConfig(json, "web:1"));
        if (parsed === undefined) return;
        assert.ok(parsed.config.workingDir.startsWith("/"));
        assert.ok(parsed.config.cmd.every((text) => !text.includes("\0")));
        assert.ok(parsed.createdAtSeconds >= 0 && parsed.createdAtSeconds * 1000 <= Date.now());
      },
    ),
  );
});

test("a user of any image is ids that the kernel can set", () => {
  const field = fc.oneof(fc.constantFrom("0", "root", "4294967295", "-1", "web"), fc.string());
  const line = fc.array(field, { maxLength: 5 }).map((fields) => fields.join(":"));
  const file = fc.array(line, { maxLength: 5 }).map((lines) => lines.join("\n"));
  fc.assert(
    fc.property(file, file, field, (passwd, group, user) => {
      const found = attempt(() => lookUpUser(parseAccounts(passwd, group), user));
      if (found === undefined) return;
      for (const id of [found.uid, found.gid, ...found.additionalGids]) {
        assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1);
      }
    }),
  );
});
