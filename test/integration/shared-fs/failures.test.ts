// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { listMounts } from "../../../src/linux/mounts.ts";
import { run } from "../../../src/linux/run.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

/** Longer than what `mukon gc` leaves alone because it may be on its way. */
const SETTLE_MS = 11_000;

let world: PodWorld;
const disk = mkdtempSync("/var/tmp/mukon-t-");
before(() => {
  world = new PodWorld();
});
after(async () => {
  await world.end();
  rmSync(disk, { recursive: true, force: true });
});

test("a file system that cannot map ids is named, and nothing is left of the pod", async () => {
  const directory = join(world.directory, "ramfs");
  mkdirSync(directory);
  await run(["mount", "-t", "ramfs", "none", directory]);
  try {
    await world.assertRefused(
      ["-v", `${directory}:/data`],
      /ramfs on .*cannot map ids.*ID_MAP_UNSUPPORTED[\s\S]*hint: put it on/,
    );
  } finally {
    await run(["umount", directory]);
  }
});

test("a virtiofsd that does not shut itself in is never connected", async () => {
  const program = world.executable(
    "virtiofsd",
    "#!/bin/sh\ncase $1 in --version) echo virtiofsd 1.13.2 ;; *) exec /bin/sleep 100 ;; esac\n",
  );
  world.configure({ "hypervisor.qemu": { virtio_fs_daemon: program } });
  try {
    await world.assertRefused(["-v", `${disk}:/data`], /virtiofsd .*CONFINEMENT_BROKEN/);
  } finally {
    world.configure({});
  }
});

test("kill -9 of virtiofsd ends its pod; kill -9 of the shim leaves mounts that gc undoes", async () => {
  writeFileSync(join(disk, "kept"), "kept");
  const volume = ["-v", `${disk}:/data`];
  const [first, second] = await Promise.all([
    world.start("first", [...volume, "busybox", "sleep", "1000"]),
    world.start("second", [...volume, "busybox", "sleep", "1000"]),
  ]);
  const mountsOf = (id: string): string[] =>
    listMounts()
      .map(({ mountPoint }) => mountPoint)
      .filter((point) => point.startsWith(join(world.runRoot, "shared", id)));
  assert.equal(mountsOf(first.id).length, 2, "the tree, and the volume in it");
  process.kill(first.state.processes.virtiofsd?.pid ?? 0, "SIGKILL");
  process.kill(second.shimPid, "SIGKILL");
  await sleep(SETTLE_MS);
  const shown = await mukon(["ps", "--all", "--json"]);
  assert.match(shown.stdout, /"status": ?255/);
  assert.deepEqual(mountsOf(first.id), []);
  assert.equal(mountsOf(second.id).length, 2);
  const gc = await mukon(["gc"]);
  assert.equal(gc.code, 0, gc.stderr);
  for (const { id } of [first, second]) await mukon(["rm", "--force", id]);
  await world.assertNothingLeft(30_000);
  assert.deepEqual(readdirSync(disk), ["kept"], "what was shared is untouched");
  assert.ok(existsSync(join(disk, "kept")));
});
