// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../../../src/linux/run.ts";
import { mukon } from "../../support/mukon.ts";
import { PodWorld } from "../../support/pod-world.ts";

const MEBIBYTE = 1024 * 1024;
/** From nothing at all to nearly enough for a pod: each stops the start somewhere else. */
const TOO_FEW_FILES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14];
const TOO_FEW_PAGES = [1, 2, 3];
const PAGE_BYTES = 4096;

let world: PodWorld;
before(() => {
  world = new PodWorld({ settings: { "hypervisor.qemu": { accelerator: "tcg" } } });
});
after(() => world.end());

/** Runs with a run root on a file system of its own. */
async function onFileSystem(options: string, work: () => Promise<void>): Promise<void> {
  const mount = ["mount", "-t", "tmpfs", "-o", `${options},mode=0711`, "tmpfs", world.runRoot];
  await run(mount);
  try {
    await work();
  } finally {
    // Lazily: what a failed test has left there is found, and killed, by the world's end.
    await run(["umount", "--lazy", world.runRoot]);
  }
}

test("a run root that is full, or has no room for a pod, is an error that says so", async () => {
  const tooSmall = [
    ...TOO_FEW_FILES.map((count) => `size=64m,nr_inodes=${count}`),
    ...TOO_FEW_PAGES.map((count) => `size=${count * PAGE_BYTES}`),
  ];
  for (const options of tooSmall) {
    await onFileSystem(options, async () => {
      const { code, stderr } = await mukon(["run", "--rm", "busybox", "true"]);
      assert.equal(code, 125, `${options}: ${stderr}`);
      assert.match(stderr, /no space left on device/i, options);
      assert.match(stderr, /DISK_FULL|COMMAND_FAILED|SHIM_START_FAILED/, options);
      await world.assertNothingLeft();
    });
  }
});

test("a full disk for scratch disks is named, with the setting that moves them", async () => {
  const directory = join(world.directory, "scratch");
  mkdirSync(directory);
  await run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory]);
  try {
    const settings = `\n[mukon]\nscratch_directory = "${directory}"\n`;
    const file = world.write("small-scratch.toml", settings);
    const options = ["--config", file, "--scratch", "1g"];
    const { code, stderr } = await mukon(["run", "--rm", ...options, "busybox", "true"]);
    assert.equal(code, 125, stderr);
    assert.match(stderr, /no space left on device for a disk in .*DISK_FULL/);
    assert.match(stderr, /hint: .*scratch_directory/);
    assert.deepEqual(readdirSync(directory), []);
    await world.assertNothingLeft();
  } finally {
    await run(["umount", directory]);
  }
});

test("a container whose output no longer fits on the host's disk runs to its end", async () => {
  const script = "dd if=/dev/zero bs=1M count=24 2>/dev/null; exit 3";
  await onFileSystem(`size=${16 * MEBIBYTE}`, async () => {
    const result = await mukon(["run", "--rm", "busybox", "sh", "-c", script]);
    assert.equal(result.code, 3, result.stderr);
    assert.equal(result.stdout.length, 24 * MEBIBYTE);
    assert.match(result.stderr, /no longer kept/);
    await world.assertNothingLeft();
  });
});
