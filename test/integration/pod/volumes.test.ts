// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { mukon, outcomeOf, startMukon, waitForOutput } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

test("small files and directories of the host are there, read-only, and change with it", async () => {
  const root = join(world.directory, "secret");
  const file = join(world.directory, "hosts");
  mkdirSync(join(root, "..1"), { recursive: true });
  writeFileSync(join(root, "..1", "key"), "old", { mode: 0o640 });
  symlinkSync("..1", join(root, "..data"));
  symlinkSync("..data/key", join(root, "key"));
  symlinkSync("/etc/shadow", join(root, "escape"));
  writeFileSync(file, `192.0.2.7 first\n${"#".repeat(700_000)}\n`);
  const script = `
    cat /secret/key; echo; head -1 /etc/hosts; wc -c < /etc/hosts; stat -c %a /secret/..data/key
    cat /secret/escape >/dev/null 2>&1 && echo escaped
    touch /secret/x 2>&1; echo ready
    until grep -q new /secret/key && ! test -e /secret/..1 && grep -q second /etc/hosts
    do sleep 0.1; done; echo changed`;
  const volumes = ["-v", `${root}:/secret:ro`, "-v", `${file}:/etc/hosts:ro`];
  const child = startMukon(["run", "--rm", ...volumes, "busybox", "sh", "-c", script]);
  const outcome = outcomeOf(child);
  const seen = await waitForOutput(child, "ready");
  assert.match(seen, /^old\n192\.0\.2\.7 first\n700017\n640\ntouch: .*Read-only.*\nready/);
  mkdirSync(join(root, "..2"));
  writeFileSync(join(root, "..2", "key"), "new");
  symlinkSync("..2", join(root, "..data_tmp"));
  renameSync(join(root, "..data_tmp"), join(root, "..data"));
  rmSync(join(root, "..1"), { recursive: true });
  writeFileSync(file, "192.0.2.8 second\n");
  const { code, stdout, stderr } = await outcome;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /changed\n$/);
});

test("without a shared file system, a directory to write to is refused, and why", async () => {
  world.configure({ "hypervisor.qemu": { shared_fs: "none" } });
  const result = await mukon(["run", "--rm", "-v", `${world.directory}:/data`, "busybox", "true"]);
  world.configure({});
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /\/data.*shared_fs is "none"/);
});
