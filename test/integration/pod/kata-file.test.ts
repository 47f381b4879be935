// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const STOCK = readFileSync(new URL("../../unit/config/kata-stock.toml", import.meta.url), "utf8");

let world: PodWorld;
before(() => {
  world = new PodWorld();
  const { start, end } = world.ids;
  const own = `[mukon]\nid_range_start = ${start}\nid_range_end = ${end}\n`;
  // Booted, as the other tests do.
  const file = STOCK.replace("[factory]\n", "[factory]\nenable_template = false\n");
  world.write("configuration.toml", `${file}\n${own}`);
});
after(() => world.end());

test("a pod runs with the settings that Kata's own file makes, and one list says which have no effect", async () => {
  const outcome = await mukon(["run", "--rm", "busybox", "echo", "from the guest"]);
  assert.equal(outcome.stdout, "from the guest\n", outcome.stderr);
  const shown = await mukon(["config", "show"]);
  assert.equal(shown.code, 0, shown.stderr);
  const lists = (shown.stdout + shown.stderr).match(/settings without effect in mukon: /g);
  assert.equal(lists?.length, 1, shown.stderr);
  await world.assertNothingLeft();
});
