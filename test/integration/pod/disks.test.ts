// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openGuest } from "../../../guest/image/open.ts";
import { run } from "../../../src/linux/run.ts";
import { withMounted } from "../../support/image-store.ts";
import { diskImage, freeLoopDevice, loopDevice, permissionsOf } from "../../support/loop-device.ts";
import { mukon } from "../../support/mukon.ts";
import { type Pod, PodWorld } from "../../support/pod-world.ts";
import { descriptorsOf } from "../../support/process-facts.ts";
import { Bundle, FakeContainerd, runShim, ShimClient } from "../../support/shim-client.ts";

const O_DIRECT = 0o40000;
const NO_LOOP = "this host has no free loop device";

let world: PodWorld;
before(() => {
  world = new PodWorld();
});
after(() => world.end());

/** Descriptors of the VMM for one file or device, as the kernel shows them. */
function openedByVmm(pod: Pod, path: string): { isWritable: boolean; isDirect: boolean }[] {
  return descriptorsOf(pod.vmmPid)
    .filter(({ target }) => target === path)
    .map(({ fd, isWritable }) => {
      const info = readFileSync(`/proc/${pod.vmmPid}/fdinfo/${fd}`, "utf8");
      const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "", 8);
      return { isWritable, isDirect: (flags & O_DIRECT) !== 0 };
    });
}

async function inContainer(pod: Pod, script: string): Promise<string> {
  const { code, stdout, stderr } = await mukon(["exec", pod.id, "sh", "-c", script]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("disks that root alone may open are used by an unprivileged VMM, as they are", async (t) => {
  const image = await diskImage(join(world.directory, "device.img"), {
    mebibytes: 16,
    isFormatted: false,
  });
  const locked = await diskImage(join(world.directory, "locked.img"), {
    mebibytes: 8,
    isFormatted: false,
  });
  const volume = await diskImage(join(world.directory, "volume.img"), {
    mebibytes: 32,
    isFormatted: true,
  });
  writeFileSync(locked, "read me", { flag: "r+" });
  const device = await loopDevice(image);
  if (device === undefined) return t.skip(NO_LOOP);
  t.after(() => freeLoopDevice(device));
  world.configure({
    "hypervisor.qemu": {
      ...{ block_device_aio: "io_uring", block_device_cache_set: true },
      block_device_cache_direct: true,
    },
  });
  const facts = (): unknown[] => [device, locked, volume].map(permissionsOf);
  const before = facts();
  const options = [
    ...["--device", `${device}:/dev/xvda`, "--device", `${locked}:/dev/xvdb:r`],
    ...["--mount", `type=ext4,source=${volume},target=/data`],
  ];
  t.after(() => mukon(["rm", "--force", "disks"]));
  const pod = await world.start("disks", [...options, "busybox", "sleep", "1000"]);
  world.configure({});
  assert.deepEqual(facts(), before, "touched by the start");

  await t.test("a block device is read and written through its own node", async () => {
    const script = "echo written | dd of=/dev/xvda bs=512 seek=8 conv=sync,fsync 2>&1; sync";
    await inContainer(pod, script);
    const onHost = readFileSync(device).subarray(8 * 512, 8 * 512 + 7);
    assert.equal(onHost.toString(), "written");
  });

  await t.test("what is given for reading cannot be written, by the VMM neither", async () => {
    const script = "head -c 7 /dev/xvdb; dd if=/dev/zero of=/dev/xvdb bs=512 count=1 2>&1 || true";
    assert.match(await inContainer(pod, script), /^read me.*Operation not permitted/s);
    const opened = openedByVmm(pod, locked);
    assert.ok(opened.length > 0 && opened.every(({ isWritable }) => !isWritable));
  });

  await t.test("the page cache is bypassed where the configuration says so", () => {
    const [opened] = openedByVmm(pod, device);
    assert.deepEqual(opened, { isWritable: true, isDirect: true });
  });

  await t.test("a file system on a disk is mounted, and keeps what is written", async () => {
    const script = "echo kept > /data/file; sync; grep ' /data ' /proc/mounts";
    assert.match(await inContainer(pod, script), / \/data ext4 rw,nosuid,nodev/);
  });

  await t.test("a container has no other disks than its own", async () => {
    const script = "mknod /tmp/other b 254 64; head -c 1 /tmp/other 2>&1 || true";
    assert.match(await inContainer(pod, script), /Operation not permitted/);
  });

  await t.test("a disk that grows does so for a container that runs", async () => {
    assert.equal(
      (await inContainer(pod, "cat /sys/class/block/vd?/size")).includes("49152"),
      false,
    );
    truncateSync(image, 24 * 2 ** 20);
    await run(["losetup", "--set-capacity", device]);
    await inContainer(
      pod,
      "until cat /sys/class/block/vd?/size | grep -qx 49152; do sleep 0.2; done",
    );
  });

  await t.test("another pod cannot write to the same disk at the same time", async () => {
    const taken = ["run", "--rm", "--device", `${volume}:/dev/xvda`, "busybox", "true"];
    const { code, stderr } = await mukon(taken);
    assert.equal(code, 125);
    assert.match(stderr, /volume\.img: The disk is in use by another VM.*VMM_DISK_LOCKED/);
  });

  await mukon(["rm", "--force", pod.id]);
  const mount = ["--mount", `type=ext4,source=${volume},target=/data,readonly`];
  const again = await mukon(["run", "--rm", ...mount, "busybox", "cat", "/data/file"]);
  assert.equal(again.stdout, "kept\n", again.stderr);
  assert.deepEqual(facts(), before);
});

test("a device that the host uses is not written to, and what is no disk is no disk", async (t) => {
  const image = await diskImage(join(world.directory, "mounted.img"), {
    mebibytes: 8,
    isFormatted: true,
  });
  const device = await loopDevice(image);
  if (device === undefined) return t.skip(NO_LOOP);
  t.after(() => freeLoopDevice(device));
  const mountPoint = world.directory.concat("/mounted");
  await run(["mkdir", mountPoint]);
  await run(["mount", device, mountPoint]);
  try {
    await world.assertRefused(["--device", device], /is in use on this host.*DISK_IN_USE/);
  } finally {
    await run(["umount", mountPoint]);
  }
  const directory = ["--mount", `type=ext4,source=${world.directory},target=/data`];
  await world.assertRefused(directory, /neither a disk image nor a block device/);
});

test("a root file system may be an ext4 disk; native requests; it is let go of in the end", async (t) => {
  const image = await diskImage(join(world.directory, "root.img"), {
    mebibytes: 16,
    isFormatted: false,
  });
  await withMounted((await openGuest()).busyboxPath, (root) =>
    run(["mkfs.ext4", "-q", "-F", "-d", root, image]),
  );
  world.configure({ "hypervisor.qemu": { block_device_aio: "native" } });
  const containerd = await FakeContainerd.listen(world.directory);
  t.after(() => containerd.close());
  const bundle = new Bundle(world.directory, "disk-root", [
    "/bin/sh",
    "-c",
    "echo ok > /made; read x",
  ]);
  const call = { directory: bundle.directory, id: bundle.id, containerd };
  const output = await runShim(call, "start");
  assert.equal(output.code, 0, output.stderr);
  const shim = await ShimClient.connect(bundle.address);
  const stdin = await bundle.input("stdin");
  t.after(() => stdin.stream.destroy());
  await shim.create(bundle, { stdin: stdin.path }, [
    { type: "ext4", source: image, options: ["rw"] },
  ]);
  const exited = shim.wait(bundle.id);
  await shim.start(bundle.id);
  stdin.stream.write("go\n");
  assert.equal(await exited, 0);
  await shim.delete(bundle.id);
  await shim.shutdown(bundle.id);
  shim.close();
  world.configure({});
  const { stdout } = await run(["debugfs", "-R", "cat /made", image]);
  assert.equal(stdout, "ok\n");
});
