// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { quoteWord, remoteCommand, sshArguments } from "../../testhost/ssh.ts";

test("any words reach the other side as they are, through its shell", () => {
  const word = fc
    .string({ maxLength: 40, unit: "binary" })
    .map((text) => text.replaceAll("\0", ""));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
      const line = remoteCommand(["/usr/bin/printf", "%s\\0", ...words], "/");
      const { stdout } = spawnSync("sh", ["-c", line], { encoding: "utf8" });
      assert.deepEqual(stdout.split("\0").slice(0, -1), words);
    }),
  );
  for (const text of ["", "a b", "it's", "$(id)", "`id`", "a\nb", "\\", "*", "-x", "'''"]) {
    const { stdout } = spawnSync("sh", ["-c", `printf %s ${quoteWord(text)}`], {
      encoding: "utf8",
    });
    assert.equal(stdout, text);
  }
});

test("the host is known by its own key, and no setting of the user's counts", () => {
  const target = { port: 7, user: "root", clientKey: "/k", knownHosts: "/h", controlPath: "/c" };
  const argv = sshArguments(target);
  for (const setting of [
    "StrictHostKeyChecking=yes",
    "UserKnownHostsFile=/h",
    "IdentitiesOnly=yes",
  ]) {
    assert.ok(argv.includes(setting), setting);
  }
  assert.equal(argv[argv.indexOf("-F") + 1], "none");
  assert.equal(argv.at(-1), "root@127.0.0.1");
});
