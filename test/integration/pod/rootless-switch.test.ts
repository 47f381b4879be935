// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { AuditReport } from "../../../src/host/audit/types.ts";
import { sandboxDirectory } from "../../../src/linux/paths.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";
import { threadsOf } from "../../support/process-facts.ts";

const SPELLINGS = [
  "io.katacontainers.config.hypervisor.rootless",
  "io.katacontainers.hypervisor.rootless",
];

let world: PodWorld;
before(() => {
  world = new PodWorld({ settings: { "hypervisor.qemu": { rootless: true } } });
});
after(() => world.end());

test("without leave, no annotation makes the VMM run as root", async () => {
  for (const spelling of SPELLINGS) {
    const options = ["--annotation", `${spelling}=false`];
    const { stderr } = await world.assertRefused(options, /ANNOTATION_NOT_ENABLED/);
    assert.ok(stderr.includes(spelling), stderr);
  }
});

test("an annotation that is neither true nor false is refused, not guessed", async () => {
  for (const value of ["no", "0x1", ""]) {
    await world.assertRefused(["--annotation", `${SPELLINGS[0]}=${value}`], /ANNOTATION_VALUE/);
  }
});

test("rootless = false in a drop-in", async (t) => {
  mkdirSync(join(world.directory, "config.d"), { mode: 0o700 });
  const dropIn = world.write("config.d/50-root.toml", "[hypervisor.qemu]\nrootless = false\n");

  await t.test("is shown with its file and line, and a warning", async () => {
    const shown = await mukon(["config", "show", "--origin"]);
    assert.match(shown.stdout, new RegExp(`rootless.*false.*${dropIn}:2`));
    assert.match(shown.stdout + shown.stderr, /VMMs run as root/);
  });

  await t.test("is honoured and logged; mukon audit exits with 1 and says P1 broken", async () => {
    const name = "test-rootful";
    const pod = await world.start(name, ["busybox", "sleep", "1000"]);
    assert.match(pod.outcome.stderr, /warning: .*VMMs run as root/);
    const [thread] = threadsOf(pod.vmmPid);
    assert.deepEqual(thread?.uids, [0, 0, 0, 0]);
    // Root, but not all that root could do.
    assert.equal(thread?.capabilities.effective, 0n);
    assert.equal(thread?.noNewPrivileges, true);
    assert.equal(thread?.seccomp, 2);
    assert.ok((threadsOf(pod.keeperPid)[0]?.uids[0] ?? 0) > 0, "the keeper runs as root");
    const log = readFileSync(join(sandboxDirectory(pod.id), "shim.log"), "utf8");
    assert.match(log, /the VMM runs as root/);
    const audit = await mukon(["audit", name, "--json"]);
    assert.equal(audit.code, 1, audit.stderr);
    const [report] = JSON.parse(audit.stdout) as AuditReport[];
    assert.deepEqual([report?.rootless, report?.isKept], [false, false]);
    const vmm = report?.processes.find(({ role }) => role === "vmm");
    assert.match(vmm?.verdicts.P1 ?? "", /^broken: /);
    assert.equal((await mukon(["rm", "--force", name])).code, 0);
    assert.deepEqual(threadsOf(pod.vmmPid), []);
    await world.assertNothingLeft();
  });

  for (const spelling of SPELLINGS) {
    await t.test(`is made strict again for one pod by ${spelling}`, async () => {
      const name = `test-strict-${SPELLINGS.indexOf(spelling)}`;
      const options = ["--annotation", `${spelling}=true`];
      const pod = await world.start(name, [...options, "busybox", "sleep", "1000"]);
      const { uid } = pod.identity.vmm;
      for (const thread of threadsOf(pod.vmmPid))
        assert.deepEqual(thread.uids, [uid, uid, uid, uid]);
      const audit = await mukon(["audit", name]);
      assert.equal(audit.code, 0, audit.stdout);
      assert.equal((await mukon(["rm", "--force", name])).code, 0);
    });
  }

  rmSync(dropIn);
});
