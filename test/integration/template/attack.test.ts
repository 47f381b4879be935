// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { sha256OfFile } from "../../../guest/image/hashes.ts";
import { templatesDirectory } from "../../../src/linux/paths.ts";
import { readDescriptors, readProcessStatus } from "../../../src/linux/process-status.ts";
import { run } from "../../../src/linux/run.ts";
import { openedBy, openTemplate } from "../../../src/sandbox/template/store.ts";
import { mukon } from "../../support/mukon.ts";
import { newerQemu } from "../../support/newer-qemu.ts";
import { MEMORY_MIB, TemplateWorld } from "../../support/template-world.ts";

/** What a captured VMM would try with the descriptor that it was started with, and by name. */
const ATTACKS: Record<string, string> = {
  "write to the descriptor": "echo evil >&3",
  "open it again for writing": "echo evil >/proc/self/fd/3",
  "open it again for appending": "echo evil >>/proc/self/fd/3",
  "cut it short": "truncate --size 0 /proc/self/fd/3",
  "change its mode": "chmod 666 /proc/self/fd/3",
  "change its owner": 'chown "$(id -u)" /proc/self/fd/3',
  "change its times": "touch /proc/self/fd/3",
  "map it for writing": `python3 -c 'import mmap; mmap.mmap(3, 4096, mmap.MAP_SHARED, mmap.PROT_WRITE)'`,
  "give up a hole in it": "fallocate --punch-hole --offset 0 --length 4096 /proc/self/fd/3",
  "open it by name": 'cat "$FILE"',
  "write to it by name": 'echo evil >"$FILE"',
  "remove it": 'rm -f "$FILE"',
  "put another one in its place": 'mv /proc/self/fd/3 "$FILE"',
  "list the store": 'ls "$STORE"',
  "put something into the store": 'mkdir "$STORE/x"',
};

const FILES = ["state", "memory"] as const;

/** The machine's own, and one that shares memory between clones. */
const PROGRAMS = { "the machine's QEMU": async () => undefined, "a newer QEMU": newerQemu };
let world: TemplateWorld;
let key: string;
for (const [name, program] of Object.entries(PROGRAMS)) {
  describe(`a template of ${name}`, () => {
    before(async () => {
      const path = await program();
      const qemu = { default_memory: MEMORY_MIB, ...(path === undefined ? {} : { path }) };
      world = new TemplateWorld({ "hypervisor.qemu": qemu });
      key = await world.build();
    });
    after(() => world.end());
    test("only root can get at a template, and nobody can write to it", isRootsAlone);
    test("a captured clone changes nothing of what the next one reads", withstandsCapturedClone);
    test("what a clone's guest writes to its memory stays there", keepsGuestsApart);
    test(
      "VMM and keeper of a running clone hold nothing of the template that can be written",
      isHeldForReading,
    );
  });
}

function isRootsAlone(): void {
  for (const [path, mode] of [
    [templatesDirectory(), 0o40700],
    [join(templatesDirectory(), key), 0o40700],
    [pathOf("state"), 0o100400],
    [pathOf("memory"), 0o100444],
    [pathOf("manifest.json"), 0o100400],
  ] as const) {
    const status = lstatSync(path);
    assert.deepEqual([status.uid, status.gid, status.mode.toString(8)], [0, 0, mode.toString(8)]);
  }
}

async function withstandsCapturedClone(): Promise<void> {
  const before = await hashes();
  const pod = await world.start("captured", ["busybox", "sleep", "1000"]);
  assert.equal(pod.state.template, key, "the pod was booted");
  const { uid, gid } = pod.identity.vmm;
  assert.deepEqual(readProcessStatus(pod.vmmPid)?.uids, [uid, uid, uid, uid]);
  for (const file of FILES) {
    const attack = (script: string) => runAs({ uid, gid }, file, script);
    assert.equal((await attack("head -c 9 <&3 >/dev/null")).code, 0, "no descriptor");
    for (const [name, script] of Object.entries(ATTACKS)) {
      const { code, stdout } = await attack(script);
      assert.notEqual(code, 0, `${file}: ${name}`);
      assert.equal(stdout, "", `${file}: ${name}`);
    }
  }
  const again = "cat /proc/self/fd/3";
  assert.notEqual((await runAs({ uid, gid }, "state", again)).code, 0, "the state, once more");
  assert.deepEqual(await hashes(), before);
  const next = await world.start("next", ["busybox", "sleep", "1000"]);
  assert.equal(next.state.template, key, "the template was touched");
}

async function keepsGuestsApart(): Promise<void> {
  const before = await hashes();
  const fill = "head -c 200m /dev/zero | tr '\\0' x >/dev/shm/x; wc -c </dev/shm/x";
  const { stdout } = await mukon(["run", "--rm", "busybox", "sh", "-c", fill]);
  assert.match(stdout, /^\d{8,}$/m);
  assert.deepEqual(await hashes(), before);
}

async function isHeldForReading(): Promise<void> {
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
}

function pathOf(name: string): string {
  return join(templatesDirectory(), key, name);
}

async function hashes(): Promise<string[]> {
  return await Promise.all(FILES.map((name) => sha256OfFile(pathOf(name))));
}

/** Runs a script as a VMM of this user would, with a file of the template as its descriptor 3. */
async function runAs(
  user: { uid: number; gid: number },
  file: (typeof FILES)[number],
  script: string,
): Promise<{ code: number | null; stdout: string }> {
  const template = openTemplate(key);
  assert.ok(template, "the template is gone");
  const identity = ["--reuid", String(user.uid), "--regid", String(user.gid), "--clear-groups"];
  const rights = ["--nnp", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];
  const names = { FILE: pathOf(file), STORE: templatesDirectory() };
  try {
    return await run(["setpriv", ...identity, ...rights, "--", "sh", "-c", script], {
      descriptors: [template[file]],
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", ...names },
      allowFailure: true,
    });
  } finally {
    openedBy(template).forEach(closeSync);
  }
}
