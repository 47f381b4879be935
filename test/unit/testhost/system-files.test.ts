// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { HOST_PACKAGES } from "../../testhost/packages.ts";
import { INITRAMFS_SCRIPT, SYSTEM_FILES } from "../../testhost/system-files.ts";

const PREPARE = join(import.meta.dirname, "..", "..", "..", "scripts", "lib", "prepare.sh");

test("the host's scripts are scripts", () => {
  const arrive = SYSTEM_FILES["usr/local/sbin/testhost-arrive"];
  assert.equal(arrive?.mode, 0o755);
  for (const script of [arrive?.content ?? "", INITRAMFS_SCRIPT]) {
    const { status, stderr } = spawnSync("sh", ["-n"], { input: script, encoding: "utf8" });
    assert.equal(status, 0, stderr);
  }
});

test("the host has every package that quickstart needs, as it has no network to fetch one", () => {
  const text = readFileSync(PREPARE, "utf8");
  const needed = /^RUNTIME_PACKAGES="(.*)"$/m.exec(text)?.[1]?.split(" ") ?? [];
  assert.ok(needed.length > 5);
  assert.deepEqual(
    needed.filter((name) => !HOST_PACKAGES.includes(name)),
    [],
  );
});
