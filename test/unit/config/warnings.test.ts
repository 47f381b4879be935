// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { editDistance, nearestKey } from "../../../src/config/nearest.ts";
import { load } from "./helpers.ts";

test("an unknown setting warns with its place and the nearest known one", async (t) => {
  const loaded = await load(
    t,
    "[hypervisor.qemu]\nrotless = true\n[runtime]\nrootless = true\nzzz = 1\n",
  );
  assert.equal(loaded.warnings.length, 3);
  assert.match(
    loaded.warnings[0] ?? "",
    /:2: unknown setting hypervisor\.qemu\.rotless\. Did you mean hypervisor\.qemu\.rootless\?/,
  );
  assert.match(loaded.warnings[1] ?? "", /:4: .*Did you mean hypervisor\.qemu\.rootless\?/);
  assert.match(loaded.warnings[2] ?? "", /:5: unknown setting runtime\.zzz\.$/);
});

test("a mistyped table still leads to the right setting", async (t) => {
  const loaded = await load(t, "[hypervisor.qmeu]\nrootless = true\n");
  assert.match(loaded.warnings[0] ?? "", /Did you mean hypervisor\.qemu\.rootless\?/);
});

test("what Kata knows and mukon does not is said to have no effect", async (t) => {
  const loaded = await load(
    t,
    "[hypervisor.qemu]\nenable_iommu = true\nenable_numa = false\npflashes = []\n[hypervisor.clh]\npath = 1\nmany = 2\n[agent.kata.mem_agent]\nx = 1\n",
  );
  assert.equal(loaded.warnings.length, 1);
  assert.match(
    loaded.warnings[0] ?? "",
    /settings without effect in mukon: hypervisor\.qemu\.enable_iommu \(line 2\), hypervisor\.clh \(line 5\), agent\.kata\.mem_agent \(line 8\)\.$/,
  );
});

test("a setting without effect warns only when it asks for something else than the default", async (t) => {
  const loaded = await load(
    t,
    '[runtime]\nsandbox_cgroup_only = true\n[factory]\ntemplate_path = "/x"\n',
  );
  assert.equal(loaded.warnings.length, 1);
  assert.match(
    loaded.warnings[0] ?? "",
    /without effect in mukon: factory\.template_path \(line 4\)\.$/,
  );
});

test("a warning carries no control characters of the file into the terminal", async (t) => {
  const loaded = await load(t, '[runtime]\n"\\u001b[31mred" = 1\n');
  assert.equal(loaded.warnings.length, 1);
  assert.ok(!loaded.warnings[0]?.includes("\u001b"));
});

test("edit distance counts insertions, deletions and replacements", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("same", "same"), 0);
});

test("nothing is suggested for what is near to nothing", () => {
  assert.equal(nearestKey("a.qqqqqq", ["a.rootless"]), undefined);
  assert.equal(nearestKey(`a.${"x".repeat(10_000)}`, ["a.rootless"]), undefined);
});
