// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { sha256OfFile } from "../../../guest/image/hashes.ts";
import { templatesDirectory } from "../../../src/linux/paths.ts";
import { readDescriptors, readProcessStatus } from "../../../src/linux/process-status.ts";
import { run } from "../../../src/linux/run.ts";
import { openTemplate, readTemplate } from "../../../src/sandbox/template/store.ts";
import { mukon } from "../../support/mukon.ts";
import { TemplateWorld } from "../../support/template-world.ts";

/** What a captured VMM would try with the descriptor that it was started with, and by name. */
const ATTACKS: Record<string, string> = {
  "write to the descriptor": "echo evil >&3",
  "open it again for writing": "echo evil >/proc/self/fd/3",
  "open it again for appending": "echo evil >>/proc/self/fd/3",
  "open it again for reading": "cat /proc/self/fd/3",
  "cut it short": "truncate --size 0 /proc/self/fd/3",
  "change its mode": "chmod 666 /proc/self/fd/3",
  "change its owner": 'chown "$(id -u)" /proc/self/fd/3',
  "change its times": "touch /proc/self/fd/3",
  "open it by name": 'cat "$STATE"',
  "write to it by name": 'echo evil >"$STATE"',
  "remove it": 'rm -f "$STATE"',
  "put another one in its place": 'mv /proc/self/fd/3 "$STATE"',
  "list the store": 'ls "$STORE"',
  "put something into the store": 'mkdir "$STORE/x"',
};

let world: TemplateWorld;
let key: string;
let state: string;
before(async () => {
  world = new TemplateWorld();
  key = await world.build();
  state = join(templatesDirectory(), key, "state");
});
after(() => world.end());

test("only root can get at a template, and nobody can write to it", () => {
  for (const [path, mode] of [
    [templatesDirectory(), 0o40700],
    [join(templatesDirectory(), key), 0o40700],
    [state, 0o100400],
    [join(templatesDirectory(), key, "manifest.json"), 0o100400],
  ] as const) {
    const status = lstatSync(path);
    assert.deepEqual([status.uid, status.gid, status.mode.toString(8)], [0, 0, mode.toString(8)]);
  }
});

test("a captured clone changes nothing of what the next one reads", async () => {
  const sha256 = readTemplate(key)?.state.sha256;
  const pod = await world.start("captured", ["busybox", "sleep", "1000"]);
  assert.equal(pod.state.template, key, "the pod was booted");
  const { uid, gid } = pod.identity.vmm;
  assert.deepEqual(readProcessStatus(pod.vmmPid)?.uids, [uid, uid, uid, uid]);
  assert.equal((await runAs({ uid, gid }, "head -c 9 <&3 >/dev/null")).code, 0, "no descriptor");
  for (const [name, script] of Object.entries(ATTACKS)) {
    const { code, stdout } = await runAs({ uid, gid }, script);
    assert.notEqual(code, 0, name);
    assert.equal(stdout, "", name);
  }
  assert.equal(await sha256OfFile(state), sha256);
  const next = await world.start("next", ["busybox", "sleep", "1000"]);
  assert.equal(next.state.template, key, "the template was touched");
});

test("VMM and keeper of a running clone hold nothing of the template that can be written", async () => {
  const pod = await world.start("holder", ["busybox", "sleep", "1000"]);
  for (const pid of [pod.vmmPid, pod.keeperPid]) {
    for (const [descriptor, target] of readDescriptors(pid)) {
      if (!target.startsWith(templatesDirectory())) continue;
      const { stdout } = await run(["cat", `/proc/${pid}/fdinfo/${descriptor}`]);
      const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(stdout)?.[1] ?? "", 8);
      assert.equal(flags & 0o3, 0, `descriptor ${descriptor} of ${pid} is open for writing`);
    }
  }
  assert.equal((await mukon(["audit", "holder"])).code, 0);
});

async function runAs(
  user: { uid: number; gid: number },
  script: string,
): Promise<{ code: number | null; stdout: string }> {
  const template = openTemplate(key);
  assert.ok(template, "the template is gone");
  const identity = ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"];
  const rights = ["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
  try {
    return await run(["setpriv", ...identity, ...rights, "--", "sh", "-c", script], {
      descriptors: [template.descriptor],
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", STATE: state, STORE: templatesDirectory() },
      allowFailure: true,
    });
  } finally {
    closeSync(template.descriptor);
  }
}
