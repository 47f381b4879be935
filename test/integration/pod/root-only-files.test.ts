// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, constants, copyFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openGuest } from "../../../guest/image/open.ts";
import { run } from "../../../src/linux/run.ts";
import { mukon } from "../../support/mukon.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";
import { descriptorsOf } from "../../support/process-facts.ts";

const NAME = "test-root-only";
const FILES = ["kernel", "initrd", "image"] as const;

let world: PodWorld;
let directory: string;
let paths: Record<(typeof FILES)[number], string>;

before(async () => {
  world = new PodWorld();
  // As root would keep them: in a directory of its own (0700), each for itself alone.
  directory = mkdtempSync(join(tmpdir(), "mukon-root-only-"));
  const guest = await openGuest();
  const copy = (name: string, source: string): string => {
    const path = join(directory, name);
    copyFileSync(source, path, constants.COPYFILE_FICLONE);
    chmodSync(path, 0o600);
    return path;
  };
  paths = {
    kernel: copy("kernel", guest.kernelPath),
    initrd: copy("initrd", guest.initrdPath),
    image: copy("image", guest.imagePath),
  };
  world.configure({ "hypervisor.qemu": paths });
});
after(async () => {
  await world.end();
  rmSync(directory, { recursive: true, force: true });
});

test("a guest whose files only root may read boots, and no permission changes for it", async (t) => {
  const facts = (): unknown[] =>
    [directory, ...Object.values(paths)].map((path) => {
      const { mode, uid, gid, ctimeMs } = statSync(path);
      return [path, mode & 0o7777, uid, gid, ctimeMs];
    });
  const before = facts();
  const pod = await world.start(NAME, ["busybox", "sh", "-c", "echo booted; sleep 1000"]);
  assert.deepEqual(facts(), before, "owner, mode or lists of the files were touched");

  await t.test("the VMM's user cannot open them by their paths", async () => {
    for (const path of Object.values(paths)) assert.notEqual(await readAs(pod, path), 0, path);
  });

  await t.test("the VMM has copies that nobody can change", () => {
    const inodes = new Set(Object.values(paths).map((path) => statSync(path).ino));
    const files = descriptorsOf(pod.vmmPid).filter(({ status }) => status.isFile());
    for (const { status, target, isWritable } of files) {
      assert.ok(!(inodes.has(status.ino) && isWritable), `${target} is open for writing`);
    }
    const copies = files.filter(({ target }) => target.startsWith("/memfd:"));
    for (const name of FILES) {
      const copy = copies.find(({ target }) => target.startsWith(`/memfd:${name}`));
      assert.ok(copy !== undefined, `no copy of ${name} among ${copies.map((c) => c.target)}`);
      assert.equal(copy.isWritable, false, name);
    }
  });

  await t.test("mukon audit sees nothing loosened", async () => {
    const audit = await mukon(["audit", NAME]);
    assert.equal(audit.code, 0, audit.stdout);
  });

  assert.equal((await mukon(["logs", NAME])).stdout, "booted\n");
  assert.equal((await mukon(["rm", "--force", NAME])).code, 0);
  assert.deepEqual(facts(), before);
});

test("a kernel that is not there, or is no file, is named", async () => {
  for (const kernel of [join(directory, "missing"), directory]) {
    world.configure({ "hypervisor.qemu": { ...paths, kernel } });
    const { stderr } = await world.assertRefused([], /ASSET_INVALID/);
    assert.ok(stderr.includes(kernel), stderr);
  }
});

/** Exit code of an attempt to read one byte as the pod's VMM. */
async function readAs({ identity }: Pod, path: string): Promise<number | null> {
  const ids = ["--reuid", String(identity.vmm.uid), "--regid", String(identity.vmm.gid)];
  const argv = ["setpriv", ...ids, "--clear-groups", "--", "head", "-c", "1", path];
  return (await run(argv, { allowFailure: true })).code;
}
