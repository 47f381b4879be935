// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { signalAll } from "../../../guest/agent/cgroup/control.ts";

test("a container that does not freeze in time is not left frozen by the signal to all of it", async (t) => {
  const cgroup = mkdtempSync(join(tmpdir(), "mukon-cgroup-"));
  t.after(() => rmSync(cgroup, { recursive: true }));
  writeFileSync(join(cgroup, "cgroup.freeze"), "0");
  writeFileSync(join(cgroup, "cgroup.events"), "populated 1\nfrozen 0\n");
  writeFileSync(join(cgroup, "cgroup.procs"), "");
  const sending = signalAll(cgroup, 15, 20);
  assert.equal(readFileSync(join(cgroup, "cgroup.freeze"), "utf8"), "1");
  await assert.rejects(sending, /does not freeze or thaw/);
  assert.equal(readFileSync(join(cgroup, "cgroup.freeze"), "utf8"), "0");
});
